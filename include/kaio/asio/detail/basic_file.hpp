// What random_access_file and stream_file have in common, as in Asio.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <kaio/asio/detail/buffer_vector.hpp>
#include <kaio/asio/detail/file_base.hpp>
#include <kaio/asio/detail/file_operation.hpp>
#include <kaio/asio/detail/library.hpp>
#include <kaio/asio/file_service.hpp>
#include <kaio/io/file.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {

template <class Context>
concept asio_context = std::is_convertible_v<Context&, net::execution_context&>;

inline void throw_if(const error_code& error, const char* call) {
    if (!error) return;
#if defined(__cpp_exceptions)
    throw system_error(error, call);
#else
    throw_error(error.value(), call);
#endif
}

// Functions with an error_code set it, those without throw asio::system_error. Those that are no transfers may block.
// Distinct files may be used by distinct threads, and files of one io_context too. One file: one thread at a time.
template <class Executor, class Position> class basic_file : public file_base {
public:
    using executor_type = Executor;
    using native_handle_type = int;

    // Not open.
    explicit basic_file(const executor_type& executor)
        : executor_(executor), service_(&net::use_service<file_service>(static_cast<net::execution_context&>(
                                   net::query(executor, net::execution::context)))) {
        service_->use(executor);
    }
    template <asio_context Context>
    explicit basic_file(Context& context) : basic_file(executor_type(context.get_executor())) {}

    // Opens a file.
    basic_file(const executor_type& executor, const std::string& path, flags how) : basic_file(executor) {
        open(path, how);
    }
    template <asio_context Context>
    basic_file(Context& context, const std::string& path, flags how) : basic_file(context) {
        open(path, how);
    }

    // Owns a descriptor.
    basic_file(const executor_type& executor, const native_handle_type& fd) : basic_file(executor) { assign(fd); }
    template <asio_context Context> basic_file(Context& context, const native_handle_type& fd) : basic_file(context) {
        assign(fd);
    }

    // What was moved from is not open, and keeps its executor. Transfers that were started go on.
    basic_file(basic_file&& other) noexcept
        : executor_(other.executor_), service_(other.service_), file_(std::move(other.file_)),
          position_(std::move(other.position_)) {}
    template <class Other>
        requires std::is_convertible_v<Other, Executor>
    basic_file(basic_file<Other, Position>&& other)
        : executor_(other.executor_), service_(other.service_), file_(std::move(other.file_)),
          position_(std::move(other.position_)) {}
    basic_file& operator=(basic_file&& other) {
        if (this == &other) return *this;
        leave();
        executor_ = other.executor_;
        service_ = other.service_;
        file_ = std::move(other.file_);
        position_ = std::move(other.position_);
        return *this;
    }
    template <class Other>
        requires std::is_convertible_v<Other, Executor>
    basic_file& operator=(basic_file<Other, Position>&& other) {
        return *this = basic_file(std::move(other));
    }

    executor_type get_executor() noexcept { return executor_; }

    // open(2) with O_CLOEXEC, and mode 0666 for a new file. Errors: those of open, already_open.
    void open(const std::string& path, flags how) {
        throwing("open", [&](error_code& error) { open(path, how, error); });
    }
    void open(const std::string& path, flags how, error_code& error) {
        take([&] { return file::try_open(path.c_str(), int(how), 0666); }, error);
        if (!error) (void)::posix_fadvise(native_handle(), 0, 0, Position::advice);
    }

    // Owns a descriptor from now on, with the flags that it was opened with. Errors: EBADF, already_open.
    void assign(const native_handle_type& fd) {
        throwing("assign", [&](error_code& error) { assign(fd, error); });
    }
    void assign(const native_handle_type& fd, error_code& error) {
        take([&] { return file::try_adopt(fd); }, error);
    }

    bool is_open() const { return bool(file_); }
    native_handle_type native_handle() { return file_.fd(); }

    // Cancels as cancel() does and closes. What the kernel has goes on, and completes. Errors: those of close(2); the
    // descriptor is gone nevertheless.
    void close() {
        throwing("close", [&](error_code& error) { close(error); });
    }
    void close(error_code& error) {
        leave();
        set(error, file_.try_close());
    }

    // The same, but the descriptor is the caller's to close. Errors: EBADF.
    native_handle_type release() {
        return throwing("release", [&](error_code& error) { return release(error); });
    }
    native_handle_type release(error_code& error) {
        set(error, is_open() ? result<void>() : failure(EBADF));
        leave();
        position_.released(file_.fd());
        return file_.release();
    }

    // Ends with operation_aborted what was started and is not in the kernel yet. Native AIO can't cancel disk I/O: the
    // rest completes as if nothing had happened. Errors: EBADF.
    void cancel() {
        throwing("cancel", [&](error_code& error) { cancel(error); });
    }
    void cancel(error_code& error) {
        set(error, is_open() ? result<void>() : failure(EBADF));
        if (is_open()) service_->cancel(file_.fd());
    }

    // In bytes, of a regular file or a block device.
    std::uint64_t size() const {
        return throwing("size", [&](error_code& error) { return size(error); });
    }
    std::uint64_t size(error_code& error) const {
        result<std::uint64_t> const bytes = file_.try_size();
        set(error, bytes);
        return bytes ? *bytes : 0;
    }

    // ftruncate(2): cuts the file, or lengthens it with zeros.
    void resize(std::uint64_t bytes) {
        throwing("resize", [&](error_code& error) { resize(bytes, error); });
    }
    void resize(std::uint64_t bytes, error_code& error) {
        set(error, file_.try_truncate(static_cast<std::int64_t>(bytes)));
    }

    // fsync(2), which blocks.
    void sync_all() {
        throwing("sync_all", [&](error_code& error) { sync_all(error); });
    }
    void sync_all(error_code& error) {
        set(error, called([this] { return ::fsync(file_.fd()); }));
    }

    // fdatasync(2), which blocks.
    void sync_data() {
        throwing("sync_data", [&](error_code& error) { sync_data(error); });
    }
    void sync_data(error_code& error) {
        set(error, called([this] { return ::fdatasync(file_.fd()); }));
    }

protected:
    // It cancels and closes, without looking at errors.
    ~basic_file() { leave(); }

    template <class Function> static decltype(auto) throwing(const char* call, Function function) {
        error_code error;
        if constexpr (std::is_void_v<decltype(function(error))>) {
            function(error);
            throw_if(error, call);
        } else {
            auto const answer = function(error);
            throw_if(error, call);
            return answer;
        }
    }

    // Transfers at once, by preadv(2) or pwritev(2), and returns the number of bytes.
    template <class Buffers>
    std::size_t transfer(bool reads, std::uint64_t offset, const Buffers& buffers, error_code& error) {
        buffer_vector<Buffers> const vector(buffers);
        error = error_code();
        if (vector.bytes() == 0) return 0;
        auto const from = position_.start(file_.fd(), offset);
        auto const at = narrow<off_t>(static_cast<std::int64_t>(from));
        auto const bytes = called([&] {
            return reads ? ::preadv(file_.fd(), vector.data(), vector.count(), at)
                         : ::pwritev(file_.fd(), vector.data(), vector.count(), at);
        });
        set(error, bytes);
        if (!bytes) return 0;
        if (reads && *bytes == 0) error = net::error::eof;
        position_.passed(reads, static_cast<std::int64_t>(from), static_cast<std::size_t>(*bytes));
        return static_cast<std::size_t>(*bytes);
    }

    template <class Token, class Buffers>
    decltype(auto) async_transfer(bool reads, std::uint64_t offset, const Buffers& buffers, Token& token) {
        return net::async_initiate<Token, void(error_code, std::size_t)>(initiation{this}, token, reads, offset,
                                                                         buffers);
    }

private:
    template <class, class> friend class basic_file;

    struct initiation {
        using executor_type = Executor;
        basic_file* self;

        executor_type get_executor() const noexcept { return self->executor_; }
        template <class Handler, class Buffers>
        void operator()(Handler&& handler, bool reads, std::uint64_t offset, const Buffers& buffers) const {
            using operation = file_operation<std::decay_t<Handler>, Executor, buffer_vector<Buffers>, Position>;
            int const fd = self->file_.fd();
            std::uint64_t const from = self->position_.start(fd, offset);
            std::decay_t<Handler> own(std::forward<Handler>(handler));
            operation::start(*self->service_, fd, reads, from, buffer_vector<Buffers>(buffers), self->position_,
                             std::move(own), self->executor_);
        }
    };

    template <class T> static void set(error_code& error, const result<T>& answer) {
        error = answer ? error_code() : error_code(answer.error().value(), net::error::get_system_category());
    }

    // Makes a system call, until no signal interrupts it.
    template <class Call> static auto called(Call call) noexcept -> result<decltype(call())> {
        for (;;) {
            auto const answer = call();
            if (answer >= 0) return answer;
            if (errno != EINTR) return failure(errno);
        }
    }

    template <class Open> void take(Open open, error_code& error) {
        if (is_open()) {
            error = net::error::already_open;
            return;
        }
        result<file> opened = open();
        set(error, opened);
        if (!opened) return;
        position_.opened(opened->fd());
        file_ = std::move(*opened);
    }

    void leave() noexcept {
        if (is_open()) service_->leave(file_.fd());
    }

    Executor executor_;
    file_service* service_;

protected:
    file file_{};
    Position position_{};
};

} // namespace kaio::detail::inline KAIO_ASIO
