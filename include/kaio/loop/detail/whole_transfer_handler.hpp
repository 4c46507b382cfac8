// whole_transfer_handler: the handler of fully(), as a loop keeps it beside the caller's. operation_slab asks it
// whether it continues. It belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/owning_handler.hpp>
#include <kaio/loop/detail/transfer_progress.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <class Loop, class Handler> struct whole_transfer_handler {
    Loop* loop;
    transfer_progress progress;
    Handler handler;

    template <class... Arguments>
    whole_transfer_handler(Loop& submitter, const transfer_progress& begun,
                           Arguments&&... arguments) noexcept(std::is_nothrow_constructible_v<Handler, Arguments...>)
        : loop(&submitter), progress(begun), handler(std::forward<Arguments>(arguments)...) {}
    whole_transfer_handler(whole_transfer_handler&&) = default; // -Weffc++ wants it said
    whole_transfer_handler(const whole_transfer_handler&) = delete;
    whole_transfer_handler& operator=(const whole_transfer_handler&) = delete;

    bool continues(operation_core& operation, io_result part) {
        bool const more = progress.continues(operation.as.request, part.res());
        if (more) loop->start(operation);
        return more;
    }
    void operator()(io_result) { handler(transfer_result(progress.bytes(), progress.error())); }
};

template <class Loop, class Handler>
void name_buffer(iocb& request, whole_transfer_handler<Loop, Handler>& stored) noexcept {
    detail::name_buffer(request, stored.handler);
}

} // namespace kaio::detail
