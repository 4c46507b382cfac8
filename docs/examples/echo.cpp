// echo PORT LOG: an echo server on 127.0.0.1:PORT (0: any free port, which it prints) that appends what it echoes to
// the file LOG. Sockets, signals and the disk share one loop and one thread, and each client is one coroutine. What
// comes back to a client is permanent in LOG. After SIGINT or SIGTERM, clients still get back what they have sent.
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

constexpr unsigned max_clients = 1000;

// Returns a system call's result, or throws its error.
int check(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::system_category(), what);
    return result;
}

kaio::file listen_on(std::uint16_t port) {
    auto socket = kaio::file::adopt(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    int const yes = 1;
    check(::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "SO_REUSEADDR");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    check(::bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), size), "bind");
    check(::listen(socket.fd(), SOMAXCONN), "listen");
    check(::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return socket;
}

// Not a signalfd: native AIO does not notice that it becomes readable.
int stop_event = -1;

extern "C" void on_signal(int) {
    int const saved = errno;
    ::eventfd_write(stop_event, 1);
    errno = saved;
}

// Returns a descriptor that SIGINT and SIGTERM make readable.
kaio::file signals_to_descriptor() {
    stop_event = check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    for (int signal : {SIGINT, SIGTERM}) check(::sigaction(signal, &action, nullptr), "sigaction");
    return kaio::file::adopt(stop_event);
}

class server {
public:
    server(std::uint16_t port, const std::string& log)
        : signals_(signals_to_descriptor()), log_(kaio::file::open(log, O_WRONLY | O_CREAT | O_APPEND, 0644)),
          listener_(listen_on(port)) {}

    void run() {
        loop_.submit(kaio::poll(signals_, POLLIN), [this](kaio::io_result) { loop_.stop(); });
        kaio::spawn(loop_, accept_clients());
        loop_.run(); // until a signal arrives or the log fails

        // A client that has got back all that it sent sees the end of the stream. Clients that don't read get one
        // second. Then the loop's destructor cancels what they wait for.
        stopping_ = true;
        ::shutdown(listener_.fd(), SHUT_RDWR);
        for (int client : clients_) ::shutdown(client, SHUT_RD);
        loop_.run_for(1s);
        if (log_error_) throw std::system_error(log_error_, "the log");
    }

private:
    kaio::task<> accept_clients() {
        for (;;) {
            if (!co_await loop_.submit(kaio::poll(listener_, POLLIN)) || stopping_) co_return;
            int const fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) {
                kaio::file client = kaio::file::adopt(fd);
                if (clients_.size() < max_clients) kaio::spawn(loop_, serve(std::move(client)));
            } else if (errno == EMFILE || errno == ENFILE) {
                co_await loop_.sleep_for(100ms); // the client waits in the kernel's queue meanwhile
            }
        }
    }

    // The parameter is a value, because a spawned coroutine outlives what a reference would refer to.
    kaio::task<> serve(kaio::file client) {
        clients_.insert(client.fd());
        std::array<std::byte, 16384> buffer; // in the coroutine's frame
        for (;;) {
            if (!co_await loop_.submit(kaio::poll(client, POLLIN))) break;
            ssize_t const got = ::recv(client.fd(), buffer.data(), buffer.size(), 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) break; // the client is gone
            auto const data = std::span(buffer).first(static_cast<std::size_t>(got));
            if (!co_await append(data) || !co_await send(client, data)) break;
        }
        clients_.erase(client.fd());
    }

    // A buffered write goes to the kernel's memory, so it completes at once. fdatasync takes time but is asynchronous:
    // one client waits for it while others are served.
    kaio::task<bool> append(std::span<const std::byte> data) {
        // The offset is ignored, because the log is open with O_APPEND.
        auto const put = co_await loop_.submit(kaio::fully(kaio::write(log_, data, 0)));
        if (!put) co_return log_failed(put.error());
        auto const synced = co_await loop_.submit(kaio::fdatasync(log_));
        co_return synced ? true : log_failed(synced.error());
    }

    // Not an exception: one that leaves a spawned task while the loop is destroyed would end the program.
    bool log_failed(std::error_code why) {
        if (!log_error_) log_error_ = why;
        loop_.stop();
        return false;
    }

    kaio::task<bool> send(const kaio::file& client, std::span<const std::byte> data) {
        while (!data.empty()) {
            ssize_t const sent = ::send(client.fd(), data.data(), data.size(), MSG_NOSIGNAL);
            if (sent >= 0) {
                data = data.subspan(static_cast<std::size_t>(sent));
            } else {
                if (errno != EAGAIN) co_return false;
                if (!co_await loop_.submit(kaio::poll(client, POLLOUT))) co_return false;
            }
        }
        co_return true;
    }

    kaio::file const signals_, log_, listener_;
    std::set<int> clients_; // their sockets
    bool stopping_ = false;
    std::error_code log_error_;
    // A poll takes the room of a request while it waits. Each client has one request at a time, and two more poll the
    // listener and the signals. Declared last, so that it is destroyed first: that ends the coroutines, which use the
    // other members.
    kaio::loop loop_{max_clients + 2};
};

} // namespace

int main(int argc, char** argv) {
    std::uint16_t port = 0;
    std::string_view const text = argc == 3 ? argv[1] : "";
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size())
        return std::fputs("usage: echo PORT LOG\n", stderr), 2;
    try {
        server(port, argv[2]).run();
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "echo: %s\n", failure.what());
        return 1;
    }
}
