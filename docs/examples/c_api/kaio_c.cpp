// What kaio_c.h declares. Only functions that throw nothing are used, so it builds with -fno-exceptions, too.
#include "kaio_c.h"

#include <new>
#include <span>
#include <utility>

#include <kaio/loop/loop.hpp>

struct kaio_loop {
    kaio::loop loop;
};

namespace {

template <class T> int error_of(const kaio::result<T>& result) { return result ? 0 : -result.error().value(); }

// A handler of 16 bytes: the loop has room for it.
template <class What> int submit(kaio_loop* loop, const What& what, kaio_done* done, void* user) {
    return error_of(loop->loop.try_submit(what, [done, user](auto result) {
        done(user, result ? static_cast<std::int64_t>(result.bytes()) : -result.error().value());
    }));
}

} // namespace

int kaio_open(unsigned capacity, kaio_loop** loop) {
    auto made = kaio::loop::try_make(capacity);
    if (!made) return error_of(made);
    *loop = new (std::nothrow) kaio_loop{std::move(*made)};
    return *loop ? 0 : -ENOMEM;
}
void kaio_close(kaio_loop* loop) { delete loop; }

int kaio_read(kaio_loop* loop, int fd, void* buffer, size_t size, int64_t offset, kaio_done* done, void* user) {
    return submit(loop, fully(kaio::read(fd, std::span(static_cast<std::byte*>(buffer), size), offset)), done, user);
}
int kaio_write(kaio_loop* loop, int fd, const void* buffer, size_t size, int64_t offset, kaio_done* done, void* user) {
    return submit(loop, fully(kaio::write(fd, std::span(static_cast<const std::byte*>(buffer), size), offset)), done,
                  user);
}
int kaio_fdatasync(kaio_loop* loop, int fd, kaio_done* done, void* user) {
    return submit(loop, kaio::fdatasync(fd), done, user);
}

int64_t kaio_run(kaio_loop* loop) {
    auto const called = loop->loop.try_run();
    return called ? static_cast<int64_t>(*called) : error_of(called);
}
int kaio_post(kaio_loop* loop, void (*function)(void*), void* user) {
    return error_of(loop->loop.try_post([function, user] { function(user); }));
}
