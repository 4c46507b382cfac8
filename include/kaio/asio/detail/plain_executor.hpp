// The executor of a context itself, where a file's executor is a strand on it or counts as work. What is run for all
// files of a context must not wait for the strand of one, nor keep the context running.
#pragma once

#include <typeinfo>

#include <kaio/asio/detail/library.hpp>

namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {

// The executor in another one, or null if it is none of this type or there is no RTTI. The member target() of Asio 1.22
// does not look at the type.
template <class Executor> const Executor* target_of([[maybe_unused]] const net::any_io_executor& executor) noexcept {
#if defined(__cpp_rtti)
    if (executor.target_type() == typeid(Executor)) return executor.template target<Executor>();
#endif
    return nullptr;
}

net::any_io_executor plain_executor(const net::any_io_executor& executor);

template <class Executor> net::any_io_executor plain_executor(const Executor& executor) {
    return net::prefer(executor, net::execution::outstanding_work.untracked);
}
template <class Inner> net::any_io_executor plain_executor(const net::strand<Inner>& strand) {
    return plain_executor(strand.get_inner_executor());
}
inline net::any_io_executor plain_executor(const net::any_io_executor& executor) {
    if (auto* const strand = target_of<net::strand<net::any_io_executor>>(executor)) return plain_executor(*strand);
    if (auto* const strand = target_of<net::strand<net::io_context::executor_type>>(executor))
        return plain_executor(*strand);
    return net::prefer(executor, net::execution::outstanding_work.untracked);
}

} // namespace kaio::detail::inline KAIO_ASIO
