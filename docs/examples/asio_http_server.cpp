// asio_http_server FOLDER PORT: an HTTP server of the files in FOLDER, on 127.0.0.1:PORT (0: any free port, which it
// prints). Sockets and files share one io_context, which one thread for each processor runs. Files are read by direct
// I/O, so no thread waits for the disk, and the page cache is left to others. Asio's own files would need io_uring,
// which the default policies of containers forbid.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <kaio/asio/random_access_file.hpp>
#include <kaio/io/aligned_buffer.hpp>

namespace {

using asio::ip::tcp;
using kaio::random_access_file;

constexpr std::size_t piece = 256 * 1024; // of a file, read and sent in turn
constexpr std::size_t longest_request = 16 * 1024;

// Opens a file of the folder, and none elsewhere. Not open: there is no such file.
random_access_file open(const asio::any_io_executor& executor, const std::string& folder, std::string_view name) {
    random_access_file file(executor);
    if (name.empty() || name.front() == '.' || name.find('/') != name.npos || name.find('%') != name.npos) return file;
    std::string const path = folder + '/' + std::string(name);
    asio::error_code error;
    file.open(path, random_access_file::read_only | random_access_file::direct, error);
    if (error == asio::error::invalid_argument) file.open(path, random_access_file::read_only, error); // no direct I/O
    return file;
}

asio::awaitable<void> send(tcp::socket& client, std::string_view status, std::uint64_t length) {
    std::string const head =
        "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
    co_await asio::async_write(client, asio::buffer(head), asio::use_awaitable);
}

asio::awaitable<void> send(tcp::socket& client, random_access_file& file) {
    std::uint64_t const length = file.size();
    co_await send(client, "200 OK", length);
    kaio::aligned_buffer buffer(piece);
    for (std::uint64_t offset = 0; offset < length;) {
        // Whole blocks, because I/O is direct. The last read ends where the file does.
        auto const got =
            co_await file.async_read_some_at(offset, asio::buffer(buffer.data(), piece), asio::use_awaitable);
        std::size_t const count = std::min<std::uint64_t>(got, length - offset);
        co_await asio::async_write(client, asio::buffer(buffer.data(), count), asio::use_awaitable);
        offset += count;
    }
}

// One request after the other, until the client goes: then an exception ends this.
asio::awaitable<void> serve(tcp::socket client, const std::string& folder) {
    for (std::string text;;) {
        auto const input = asio::dynamic_buffer(text, longest_request);
        std::size_t const size = co_await asio::async_read_until(client, input, "\r\n\r\n", asio::use_awaitable);
        std::string_view const line = std::string_view(text).substr(0, text.find("\r\n"));
        if (!line.starts_with("GET /")) {
            co_await send(client, "405 Method Not Allowed", 0);
            co_return;
        }
        auto file = open(client.get_executor(), folder, line.substr(5, line.rfind(" HTTP/") - 5));
        if (file.is_open())
            co_await send(client, file);
        else
            co_await send(client, "404 Not Found", 0);
        text.erase(0, size);
    }
}

asio::awaitable<void> accept(tcp::acceptor& listener, const std::string& folder) {
    for (;;) {
        tcp::socket client = co_await listener.async_accept(asio::use_awaitable);
        asio::co_spawn(client.get_executor(), serve(std::move(client), folder), asio::detached);
    }
}

} // namespace

int main(int argc, char** argv) {
    std::uint16_t port = 0;
    std::string_view const text = argc == 3 ? argv[2] : "";
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size())
        return std::fputs("usage: asio_http_server FOLDER PORT\n", stderr), 2;
    try {
        std::string const folder = argv[1];
        asio::io_context context;
        tcp::acceptor listener(context, {asio::ip::address_v4::loopback(), port});
        std::printf("listening on 127.0.0.1:%d\n", listener.local_endpoint().port());
        std::fflush(stdout);
        asio::signal_set signals(context, SIGINT, SIGTERM);
        signals.async_wait([&](const asio::error_code&, int) { context.stop(); });
        std::exception_ptr ended;
        asio::co_spawn(context, accept(listener, folder), [&](std::exception_ptr failure) {
            ended = failure;
            context.stop();
        });
        std::vector<std::jthread> threads;
        for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back([&] { context.run(); });
        context.run();
        threads.clear(); // joins them
        if (ended) std::rethrow_exception(ended);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "asio_http_server: %s\n", failure.what());
        return 1;
    }
}
