// What a compiler shows of a handler with a wrong signature: what was expected, and what was found. A static_assert on
// this names both.
//     a_handler_takes<kaio::io_result>::but_this_is<main()::<lambda()> >::value evaluates to false
#pragma once

#include <kaio/sys/language.hpp>

#include <type_traits>

namespace kaio::inline KAIO_BUILD::detail {

template <class Result> struct a_handler_takes {
    template <class Handler> struct but_this_is {
        static constexpr bool value = std::is_invocable_v<Handler&, Result>;
    };
};

} // namespace kaio::detail
