// expect: for_each_concurrent drops what its function awaits, and this may be an error
#include <vector>

#include <kaio/kaio.hpp>

kaio::task<> example(kaio::loop& loop, std::vector<int>& files) {
#ifdef WRONG
    co_await kaio::for_each_concurrent(files, 2, [&](int fd) { return loop.submit(kaio::fsync(fd)); });
#else
    co_await kaio::for_each_concurrent(files, 2, [&](int fd) -> kaio::task<> {
        if (auto const r = co_await loop.submit(kaio::fsync(fd)); !r) throw std::system_error(r.error());
    });
#endif
}
