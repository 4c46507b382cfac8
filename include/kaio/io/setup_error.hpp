// Why a context or a loop could not be made, in words: the call, what was asked, the cause and the remedy.
//     auto context = kaio::context::try_make(128);
//     if (!context) log(kaio::setup_error_text(context.error().value(), 128));
// The cause is looked up in /proc when the text is made. Allocates: the text. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdio>
#include <string>

#include <kaio/io/detail/setup_cause.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// `error` is the errno of io_setup, `capacity` what was asked for, in requests.
inline std::string setup_error_text(int error, unsigned capacity) {
    char cause[512], text[560];
    detail::write_setup_cause(cause, sizeof cause, error, capacity);
    std::snprintf(text, sizeof text, "kaio: io_setup(%u): %s", capacity, cause);
    return text;
}

} // namespace KAIO_BUILD
} // namespace kaio
