// Uses all of kaio, so that the object file has all variables that the headers define, if there are any.
#include <fcntl.h>

#include <kaio/coro/write_file.hpp>
#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

template <class Loop> kaio::task<int> use(Loop& loop, const kaio::file& file, kaio::aligned_buffer& buffer) {
    auto const whole = co_await loop.submit(kaio::fully(kaio::read(file, buffer, 0)));
    auto const [part, put] =
        co_await kaio::when_all(kaio::read_range(loop, file, buffer, 1), kaio::write_file(loop, file, buffer));
    co_await loop.sleep_for(kaio::duration::zero());
    co_return static_cast<int>(whole.bytes() + part.bytes() + put.bytes());
}

} // namespace

int everything() {
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    kaio::file file = kaio::file::open("/dev/null", O_RDWR);
    kaio::aligned_buffer buffer(4096);
    kaio::buffer_pool pool(2, 512);
    sigset_t mask{};
    loop.post([] {});
    loop.run_one(&mask);
    kaio::spawn(loop, use(loop, file, buffer));
    kaio::sim::world world(1, {});
    kaio::basic_loop<kaio::sim::kernel> simulated(4, {}, world);
    return kaio::sync_wait(loop, use(loop, file, buffer)) + kaio::sync_wait(simulated, use(simulated, file, buffer));
}
