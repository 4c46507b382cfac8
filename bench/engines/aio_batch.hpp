// What each engine over native AIO keeps, whoever makes its system calls: the base of its calls.
#pragma once

#include <cstddef>
#include <vector>

#include "engines/batch_engine.hpp"

namespace bench {

// A place's Block is an Iocb; Iocb is the type that io_submit takes.
template <class Block, class Event, class Iocb = Block> class aio_batch {
protected:
    explicit aio_batch(bench::pass& p) : pass(p), events(p.depth()), blocks_(p.depth()), batch_(p.depth()) {}
    aio_batch(const aio_batch&) = delete;
    aio_batch& operator=(const aio_batch&) = delete;
    ~aio_batch() = default;

    // The place's iocb, which is in the batch from now on.
    Iocb& add(std::size_t place) noexcept { return *(batch_[count_++] = &blocks_[place]); }

    // Empties the batch by `call(batch, count)`, which throws unless all of it was taken. Nothing, if it is empty.
    template <class Call> void hand_over(Call call) {
        if (count_ == 0) return;
        pass.submitting([&] { call(batch_.data(), count_); });
        count_ = 0;
    }

    bench::pass& pass;
    std::vector<Event> events; // room for one of each place

private:
    std::vector<Block> blocks_;
    std::vector<Iocb*> batch_;
    std::size_t count_ = 0;
};

} // namespace bench
