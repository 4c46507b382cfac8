// A program on the raw layer, which oldest.py builds as C++17.
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <kaio/compat/libaio.hpp>
#include <kaio/io/aligned_allocator.hpp>
#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/shared_context.hpp>
#include <kaio/io/submit_and_wait.hpp>

static_assert(!std::is_convertible_v<bool, kaio::file_offset> && !std::is_convertible_v<double, kaio::file_offset>);
static_assert(!std::is_convertible_v<std::vector<int>, kaio::view<int>>); // it would be gone
static_assert(std::is_convertible_v<std::vector<int>, kaio::view<const int>>);
static_assert(std::is_convertible_v<kaio::view<int>, kaio::view<const int>>);
static_assert(!std::is_convertible_v<kaio::view<const int>, kaio::view<int>>);

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_TRUNC, 0644);
    kaio::aligned_buffer buffer(4096, file.alignment().memory);
    std::memset(buffer.data(), '@', buffer.size());
    std::string_view const tail = "the end";

    kaio::context context(8);
    kaio::iocb blocks[] = {kaio::write(file, buffer, 0), kaio::write(file, tail, buffer.size())};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
    kaio::io_event events[2];
    kaio::submit_and_wait(context, batch, events).value("writing");
    std::size_t written = 0;
    for (kaio::io_event const& event : events) written += event.result().value("write aio.txt");

    auto owned = kaio::read(file, std::vector<char, kaio::aligned_allocator<char>>(4096), 0u);
    kaio::iocb read = owned;
    kaio::iocb* reads[] = {&read};
    kaio::shared_context shared(8);
    if (kaio::submission const answer = shared.submit(reads); !answer) return 1;
    if (shared.wait(events).value("waiting") != 1 || events[0].result() != kaio::io_result(4096)) return 1;
    if (owned.buffer()[4095] != '@') return 1;

    kaio::libaio::io_context_t compatible = nullptr;
    kaio::libaio::iocb moved_read;
    kaio::libaio::iocb* moved_reads[] = {&moved_read};
    kaio::libaio::io_event moved_event;
    if (kaio::libaio::io_setup(8, &compatible) != 0) return 1;
    kaio::libaio::io_prep_pread(&moved_read, file.fd(), buffer.data(), buffer.size(), 0);
    if (kaio::libaio::io_submit(compatible, 1, moved_reads) != 1) return 1;
    if (kaio::libaio::io_getevents(compatible, 1, 1, &moved_event, nullptr) != 1 || moved_event.res != 4096) return 1;
    kaio::libaio::io_destroy(compatible);

    kaio::result<kaio::file> const missing = kaio::file::try_open("missing", O_RDONLY);
    if (missing || missing.error() != std::errc::no_such_file_or_directory) return 1;
    kaio::result<kaio::context> moved = kaio::context::try_make(4);
    kaio::result<kaio::context> other = std::move(moved);
    other = kaio::context::try_make(0);
    if (other || other.error().message().find("1 or more") == std::string::npos) return 1;
    std::printf("%zu bytes written\n", written);
    return written == 4096 + tail.size() ? 0 : 1;
}
