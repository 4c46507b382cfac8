#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "engines/batch_engine.hpp"
#include "engines/blocking_call.hpp"

namespace {

// Threads: 0 for one for each request in flight. One lock guards both queues, to the threads and back.
template <unsigned Threads> class calls {
public:
    explicit calls(bench::pass& pass) : pass_(pass), requests_(pass.depth()) {
        try {
            for (unsigned i = 0; i < (Threads ? Threads : pass.depth()); ++i)
                threads_.emplace_back([this] { serve(); });
        } catch (...) {
            stop();
            throw;
        }
    }
    calls(const calls&) = delete;
    calls& operator=(const calls&) = delete;
    ~calls() { stop(); }

    void prepare(std::size_t place, const bench::op& request) {
        requests_[place] = request;
        std::lock_guard const hold(lock_);
        to_do_.push_back(place);
        pass_.handed_over(1);
        work_.notify_one();
    }
    template <class Done> void reap(Done done) {
        pass_.end_turn();
        std::unique_lock hold(lock_);
        results_.wait(hold, [&] { return !done_.empty(); });
        pass_.begin_turn();
        taken_.swap(done_);
        hold.unlock();
        for (result const& r : taken_) done(r.place, r.value);
        taken_.clear();
    }

private:
    struct result {
        std::size_t place;
        std::int64_t value;
    };

    void serve() {
        std::unique_lock hold(lock_);
        for (;;) {
            work_.wait(hold, [&] { return !to_do_.empty() || stopping_; });
            if (stopping_) return;
            std::size_t const place = to_do_.back();
            to_do_.pop_back();
            hold.unlock();
            std::int64_t const value = bench::blocking_call(pass_.fd(), requests_[place]);
            hold.lock();
            done_.push_back({place, value});
            if (done_.size() == 1) results_.notify_one();
        }
    }
    void stop() {
        {
            std::lock_guard const hold(lock_);
            stopping_ = true;
        }
        work_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

    bench::pass& pass_;
    std::vector<bench::op> requests_;
    std::mutex lock_;
    std::condition_variable work_, results_;
    std::vector<std::size_t> to_do_;
    std::vector<result> done_, taken_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace

bench::engine bench::pread_pool() {
    return batch_engine<calls<0>>({.name = "pread-pool",
                                   .what = "a pool of threads with blocking calls, as many as depth (to 256)",
                                   .deepest = 256,
                                   .has_threads = true});
}
bench::engine bench::pread_pool_4() {
    return batch_engine<calls<4>>(
        {.name = "pread-pool-4", .what = "the same with four threads at any depth", .has_threads = true});
}
