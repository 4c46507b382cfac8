#include <cerrno>
#include <vector>

#include <aio.h>
#include <fcntl.h>
#include <unistd.h>

#include "engines/batch_engine.hpp"

namespace {

// glibc serves the requests of one descriptor one after the other, so each place has its own descriptor.
class calls {
public:
    explicit calls(bench::pass& pass) : pass_(pass), blocks_(pass.depth()), waited_for_(pass.depth()) {
        static bool const threads = [] {
            ::aioinit settings{};
            settings.aio_threads = 64; // as many as help on any of today's machines; the default is 20
            settings.aio_num = 1024;
            settings.aio_idle_time = 1;
            ::aio_init(&settings);
            return true;
        }();
        (void)threads;
        for (aiocb& block : blocks_) {
            int const fd = ::fcntl(pass.fd(), F_DUPFD_CLOEXEC, 0);
            if (fd < 0) {
                int const error = errno;
                close_all();
                bench::call_failed("fcntl(F_DUPFD_CLOEXEC)", error);
            }
            fds_.push_back(fd);
            block = {};
        }
    }
    calls(const calls&) = delete;
    calls& operator=(const calls&) = delete;
    ~calls() { close_all(); }

    void prepare(std::size_t place, const bench::op& request) {
        aiocb& block = blocks_[place];
        block = {};
        block.aio_fildes = fds_[place];
        block.aio_buf = request.buffer;
        block.aio_nbytes = request.size;
        block.aio_offset = request.offset;
        int const taken = request.action == bench::action::read    ? ::aio_read(&block)
                          : request.action == bench::action::write ? ::aio_write(&block)
                                                                   : ::aio_fsync(O_SYNC, &block);
        if (taken != 0) bench::call_failed("aio_read or aio_write", errno);
        waited_for_[place] = &block;
        pass_.handed_over(1);
    }
    template <class Done> void reap(Done done) {
        pass_.waiting([&] { return ::aio_suspend(waited_for_.data(), static_cast<int>(waited_for_.size()), nullptr); });
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            if (!waited_for_[i]) continue;
            int const error = ::aio_error(&blocks_[i]);
            if (error == EINPROGRESS) continue;
            waited_for_[i] = nullptr;
            ssize_t const result = ::aio_return(&blocks_[i]);
            done(i, error != 0 ? -error : result);
        }
    }

private:
    void close_all() noexcept {
        for (int fd : fds_) ::close(fd);
    }

    bench::pass& pass_;
    std::vector<aiocb> blocks_;
    std::vector<const aiocb*> waited_for_;
    std::vector<int> fds_;
};

} // namespace

bench::engine bench::posix_aio() {
    return batch_engine<calls>({.name = "posix-aio",
                                .what = "glibc's aio_read and aio_suspend: threads of the C library (to 256)",
                                .deepest = 256,
                                .has_threads = true});
}
