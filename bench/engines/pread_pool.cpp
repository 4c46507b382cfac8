#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "engines/batch_engine.hpp"
#include "engines/blocking_call.hpp"

namespace {

// Each request in flight has a thread. One lock guards both queues, to the threads and back.
class calls {
public:
    explicit calls(bench::pass& pass) : fd_(pass.fd()), requests_(pass.depth()) {
        try {
            for (unsigned i = 0; i < pass.depth(); ++i) threads_.emplace_back([this] { serve(); });
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
        work_.notify_one();
    }
    template <class Done> void reap(Done done) {
        std::unique_lock hold(lock_);
        results_.wait(hold, [&] { return !done_.empty(); });
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
            std::int64_t const value = bench::blocking_call(fd_, requests_[place]);
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

    int fd_;
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
    return batch_engine<calls>({.name = "pread-pool",
                                .what = "a pool of threads with blocking calls, as many as depth (to 256)",
                                .deepest = 256,
                                .has_threads = true});
}
