// whole_transfer_handler: the handler of fully(), as a loop keeps it beside the caller's. operation_slab asks it whether
// it continues. It belongs to its loop's thread.
#pragma once

#include <type_traits>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/transfer_progress.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <class Loop, class Handler> struct whole_transfer_handler {
    static_assert(std::is_invocable_v<Handler&, transfer_result>,
                  "kaio: the handler of fully() must be callable with a kaio::transfer_result");

    Loop* loop;
    transfer_progress progress;
    Handler handler;

    bool continues(operation_core& operation, io_result part) {
        bool const more = progress.continues(operation.as.request, part.res());
        if (more) loop->start(operation);
        return more;
    }
    void operator()(io_result) { handler(transfer_result(progress.bytes(), progress.error())); }
};

} // namespace kaio::detail
