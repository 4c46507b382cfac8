#include "engines/pread.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine.hpp"

namespace {

// A thread for each request in flight. One lock for the two queues: to the threads, and back.
class pool {
public:
    explicit pool(bench::pass& all) : fd_(all.fd()), ops_(all.depth()) {
        try {
            for (unsigned i = 0; i < all.depth(); ++i) threads_.emplace_back([this] { serve(); });
        } catch (...) {
            stop();
            throw;
        }
    }
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    ~pool() { stop(); }

    void prepare(std::size_t place, const bench::op& of) {
        ops_[place] = of;
        std::lock_guard const hold(lock_);
        to_do_.push_back(place);
        work_.notify_one();
    }
    template <class Done> void turn(Done done) {
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
            std::int64_t const value = bench::blocking_call(fd_, ops_[place]);
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
    std::vector<bench::op> ops_;
    std::mutex lock_;
    std::condition_variable work_, results_;
    std::vector<std::size_t> to_do_;
    std::vector<result> done_, taken_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

class this_engine final : public bench::engine {
    std::string name() const override { return "pread-pool"; }
    std::string what() const override { return "a pool of threads with blocking calls, as many as depth (to 256)"; }
    unsigned deepest() const override { return 256; }
    bool has_threads() const override { return true; }
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        pool how(all);
        bench::run_batches(all, how);
    }
};

} // namespace

bench::engine_ptr bench::pread_pool() { return std::make_unique<this_engine>(); }
