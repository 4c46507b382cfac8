// can_fail: what may be an error, and must not be dropped unseen.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <system_error>

namespace kaio::inline KAIO_BUILD::detail {

template <class T>
concept can_fail = requires(const T& outcome) { static_cast<std::error_code>(outcome.error()); };

} // namespace kaio::detail
