// What a loop makes of a handler that is submitted: which type it stores, and what a compiler shows if the signature is
// wrong. A static_assert on this names what was expected, and what was found.
//     a_handler_takes<kaio::io_result>::but_this_is<main()::<lambda()> >::value evaluates to false
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <type_traits>

namespace kaio::inline KAIO_BUILD::detail {

// What is stored for a handler that is submitted: a copy, or what a specialisation says.
template <class Handler> struct stored_handler_of {
    using type = std::decay_t<Handler>;
};
template <class Handler> using stored_handler = typename stored_handler_of<Handler>::type;

template <class Result> struct a_handler_takes {
    template <class Handler> struct but_this_is {
        static constexpr bool value = std::is_invocable_v<Handler&, Result>;
    };
};

} // namespace kaio::detail
