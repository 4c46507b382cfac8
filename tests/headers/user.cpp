// A user's program, for the tests that compile kaio's headers in unusual surroundings. It makes the compiler
// instantiate all templates, with the real kernel and with the simulated one. It contains nothing of which a compiler
// warns.
#include <kaio/loop/loop.hpp> // first, so that the names in it are there for the other headers to shadow

#include <kaio/compat/libaio.hpp>
#include <kaio/coro/async_file.hpp>
#include <kaio/coro/channel.hpp>
#include <kaio/coro/completion.hpp>
#include <kaio/coro/directory.hpp>
#include <kaio/coro/event.hpp>
#include <kaio/coro/mutex.hpp>
#include <kaio/coro/read_file.hpp>
#include <kaio/coro/replace_file.hpp>
#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/task_group.hpp>
#include <kaio/coro/waiting_pool.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/coro/write_file.hpp>
#include <kaio/coro/write_range.hpp>
#include <kaio/io/shared_context.hpp>
#include <kaio/io/submit_and_wait.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/loop/offload.hpp>
#include <kaio/loop/owned_post.hpp>
#include <kaio/loop/posted_request.hpp>
#include <kaio/sim/helpers.hpp>
#include <kaio/sim/kernel.hpp>

#include <chrono>
#include <vector>

#include <poll.h>

namespace {

using namespace std::chrono_literals;

template <class Loop, class File> void with_handlers(Loop& loop, const File& file, kaio::aligned_buffer& buffer) {
    std::size_t bytes = 0;
    auto const count = [&bytes](kaio::io_result r) { bytes += r ? r.bytes() : 0; };
    kaio::owned_operation operation(count);
    loop.submit(kaio::write(file, buffer, 0).flags(kaio::rw_flags::dsync | kaio::rw_flags::nowait), count);
    loop.submit(kaio::read(file, buffer, 0).priority(kaio::priority_class::best_effort), operation);
    loop.submit(kaio::fully(kaio::read(file, buffer, 0)), [](kaio::transfer_result r) { (void)r.error(); });
    loop.submit(kaio::after(1ms), count);
    loop.submit(kaio::after(kaio::duration::zero()), +[](kaio::io_result) {});
    loop.submit(kaio::fdatasync(file), [buffers = std::vector<int>(3)](kaio::io_result) {});
    loop.run();
    kaio::owned_operation whole([](kaio::transfer_result r) { (void)r.error(); });
    loop.submit(kaio::fully(kaio::write(file, buffer, file.size() - file.size())), whole);
    loop.run();
    kaio::owned_operation poll(count);
    loop.submit(kaio::poll(0, POLLIN), poll);
    loop.flush();
    if (!loop.cancel(poll) || !loop.try_post([&loop] { loop.stop(); })) loop.poll();
    loop.run_one();
    loop.run_for(1ms);
}

template <class Loop, class File> kaio::task<std::size_t> awaiting(Loop& loop, const File& file, std::byte* data) {
    std::size_t bytes = 0;
    kaio::io_result const r = co_await loop.submit(kaio::read(file, kaio::view<std::byte>(data, 512), 0));
    kaio::request const stored = kaio::write(file, kaio::view<const std::byte>(data, 512), 0);
    kaio::transfer_result const all = co_await loop.submit(kaio::fully(stored));
    co_await loop.sleep_for(1ms);
    bytes += r.bytes() + all.bytes();
    co_return bytes;
}

template <class Loop, class File> kaio::task<int> combining(Loop& loop, const File& file, std::byte* data) {
    std::vector<std::int64_t> const offsets{0, 512, 1024};
    co_await kaio::for_each_concurrent(offsets, 2, [&](std::int64_t offset) -> kaio::task<> {
        (void)co_await loop.submit(kaio::read(file, kaio::view<std::byte>(data, 512), offset));
    });
    auto const [a, b] = co_await kaio::when_all(awaiting(loop, file, data), awaiting(loop, file, data));
    std::vector<kaio::task<std::size_t>> tasks;
    tasks.push_back(awaiting(loop, file, data));
    auto const many = co_await kaio::when_all(std::move(tasks));
    co_return static_cast<int>(a + b + many.size());
}

template <class Loop, class File> kaio::task<> whole_files(Loop& loop, const File& file, kaio::aligned_buffer& buffer) {
    auto const [got, put] = co_await kaio::when_all(
        kaio::read_range(loop, file, kaio::view<std::byte>(buffer.data(), buffer.size()), 7),
        kaio::write_file(loop, file, kaio::view<const std::byte>(buffer.data(), buffer.size())));
    if (!got || !put) co_return;
}

template <class Loop> kaio::task<int> waiting(Loop& loop) {
    kaio::event begun;
    kaio::semaphore permits(1);
    kaio::mutex mutex;
    kaio::channel<int> channel(2);
    kaio::completion<int> answer;
    kaio::completion<> called;
    loop.submit(kaio::after(1ms), [&](kaio::io_result) {
        begun.set();
        answer.complete(1);
        called.complete();
    });
    co_await begun;
    begun.reset();
    co_await called;
    co_await permits.acquire();
    permits.release();
    kaio::mutex_guard held = co_await mutex.lock();
    held.unlock();
    held = mutex.try_lock();
    bool const sent = co_await channel.send(1);
    auto const received = co_await channel.receive();
    bool const more = channel.try_send(2) && channel.try_receive();
    channel.close();
    int const value = co_await answer;
    kaio::waiting_pool pool(kaio::buffer_pool(1, 512));
    kaio::waiting_pool::buffer const buffer = co_await pool.acquire();
    kaio::task_group group(loop, 2);
    group.spawn([](Loop& on) -> kaio::task<> { co_await kaio::yield(on); }(loop));
    co_await group.wait();
    bool const in_time = co_await kaio::with_timeout(loop, permits.acquire(), 1ms);
    auto const polled = co_await kaio::with_timeout(loop, loop.submit(kaio::poll(0, POLLIN)), 1ms);
    kaio::semaphore_permits const taken = co_await permits.take(0);
    if (!in_time || !polled || !taken) co_return 0;
    co_return value + *received + sent + more;
}

template <class Loop, class File> kaio::task<std::size_t> giving_up(Loop& loop, const File& file) {
    auto const read =
        co_await kaio::with_timeout(loop, loop.submit(kaio::read(file, kaio::aligned_buffer(512), 0)), 1ms);
    auto all =
        co_await kaio::with_timeout(loop, loop.submit(kaio::fully(kaio::read(file, kaio::aligned_buffer(512), 0))), 1ms,
                                    [](kaio::transfer_result r, kaio::aligned_buffer) { (void)r.error(); });
    if (read.in_flight() || all.in_flight()) co_return std::size_t{0};
    kaio::aligned_buffer const buffer = std::move(all).buffer();
    co_return read.result().bytes() + read.buffer().size() + buffer.size();
}

template <class Loop, class File> kaio::task<> posting(Loop& loop, const File& file, kaio::aligned_buffer& buffer) {
    kaio::owned_post post([&loop] { loop.stop(); });
    loop.post(post);
    kaio::posted_operation operation([](kaio::io_result r) { (void)r.error(); });
    kaio::posted_operation whole([](kaio::transfer_result r) { (void)r.error(); });
    loop.post(kaio::read(file, buffer, 0), operation);
    loop.post(kaio::fully(kaio::read(file, buffer, 0)), whole, loop);
    auto const [result, back] = co_await loop.post(kaio::read(file, kaio::aligned_buffer(512), 0), loop);
    if (!result || !back.size()) co_await loop.post(kaio::after(1ms), loop);
}

template <class Loop> kaio::task<> scoped(kaio::basic_request_scope<Loop>& scope) {
    (void)co_await scope.submit(kaio::poll(0, POLLIN));
    co_await scope.sleep_for(1ms);
}

template <class Loop> kaio::task<> until_closed(kaio::basic_request_scope<Loop>& scope) { co_await scope.closed(); }

template <class Loop, class File> void with_scope(Loop& loop, const File& file, kaio::aligned_buffer& buffer) {
    kaio::basic_request_scope scope(loop);
    std::size_t bytes = 0;
    scope.submit(kaio::read(file, buffer, 0), [&bytes](kaio::io_result r) { bytes += r.bytes(); });
    scope.submit(kaio::fully(kaio::read(file, buffer, 0)), [](kaio::transfer_result r) { (void)r.error(); });
    if (!scope.try_submit(kaio::after(1ms), [](kaio::io_result) {})) scope.close();
    scope.on_closed([&loop] { loop.stop(); });
    kaio::spawn(scope, scoped(scope));
    kaio::spawn(loop, until_closed(scope));
}

template <class Loop, class File> int everything(Loop& loop, const File& file) {
    kaio::aligned_buffer buffer(4096);
    with_handlers(loop, file, buffer);
    with_scope(loop, file, buffer);
    kaio::spawn(loop, awaiting(loop, file, buffer.data()));
    kaio::spawn(loop, giving_up(loop, file));
    kaio::spawn(loop, whole_files(loop, file, buffer));
    kaio::spawn(loop, posting(loop, file, buffer));
    loop.run();
    return kaio::sync_wait(loop, waiting(loop)) + kaio::sync_wait(loop, combining(loop, file, buffer.data()));
}

int raw(const kaio::file& file) {
    kaio::context context(32, {.at_least = 1, .events = kaio::reaping::syscall});
    kaio::buffer_pool pool(2, 512);
    std::vector<unsigned char, kaio::aligned_allocator<unsigned char>> bytes(512);
    kaio::pooled_buffer const buffer = pool.acquire();
    char unwritten[512];
    kaio::iocb blocks[] = {kaio::read(file, buffer, 0), kaio::write(file, bytes, 0),
                           kaio::read(file.fd(), unwritten, 0)};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1], &blocks[2]};
    kaio::submission const answer = context.submit(batch);
    if (!answer) return answer.ring_full() ? 1 : answer.error_number();
    kaio::io_event events[2];
    return static_cast<int>(context.wait(events, 1, 1ms).value("waiting") + context.reap(events));
}

} // namespace

int main() {
    kaio::file const file = kaio::file::open("/dev/null", O_RDWR);
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters> counting(4, {.spin_limit = 10us});

    kaio::sim::world world(1, {.io_errors = 0.1});
    auto const simulated = world.open("file");
    kaio::basic_loop<kaio::sim::kernel> virtual_loop(4, {}, world);

    return everything(loop, file) + everything(counting, file) + everything(virtual_loop, simulated) + raw(file);
}
