// The base of the calls of each engine over native AIO: a batch of iocbs, and room for events.
#pragma once

#include <cstddef>
#include <vector>

#include "engines/batch_engine.hpp"

namespace bench {

// Iocb is the type that io_submit takes, and a Block is an Iocb.
template <class Block, class Event, class Iocb = Block> class aio_batch {
protected:
    explicit aio_batch(bench::pass& p) : pass(p), events(p.depth()), blocks_(p.depth()), batch_(p.depth()) {}
    aio_batch(const aio_batch&) = delete;
    aio_batch& operator=(const aio_batch&) = delete;
    ~aio_batch() = default;

    // Adds the place's iocb to the batch, and returns it.
    Iocb& add(std::size_t place) noexcept { return *(batch_[count_++] = &blocks_[place]); }

    // Submits the batch by `call(batch, count)`, which throws unless the kernel takes all of it.
    template <class Call> void submit_batch(Call call) {
        if (count_ == 0) return;
        call(batch_.data(), count_);
        pass.handed_over(count_);
        count_ = 0;
    }

    bench::pass& pass;
    std::vector<Event> events; // one for each place

private:
    std::vector<Block> blocks_;
    std::vector<Iocb*> batch_;
    std::size_t count_ = 0;
};

} // namespace bench
