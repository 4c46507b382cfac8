// expect: kaio: a group drops what its tasks return
#include <kaio/coro/task_group.hpp>
#include <kaio/kaio.hpp>

#ifdef WRONG
kaio::task<kaio::io_result> sync(kaio::loop& loop, int fd) { co_return co_await loop.submit(kaio::fdatasync(fd)); }
#else
kaio::task<> sync(kaio::loop& loop, int fd) { (co_await loop.submit(kaio::fdatasync(fd))).value("sync"); }
#endif

void spawns(kaio::loop& loop, int fd) {
    kaio::task_group group(loop);
    group.spawn(sync(loop, fd));
}
