#include "flags.hpp"

#include <cerrno>

#include <fmt/format.h>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/request.hpp>

#include "scratch.hpp"

namespace probe {
namespace {

answer ask(kaio::context& context, const kaio::request& request) {
    kaio::iocb block = request;
    kaio::iocb* batch[] = {&block};
    if (auto const submitted = context.submit(batch); !submitted) return {.refused = submitted.error_number()};
    kaio::io_event event[1];
    while (!context.wait(event)) continue; // a signal
    return {.res = event[0].res};
}

constexpr answer untried{.tried = false};

} // namespace

std::string errno_name(int error) {
    switch (error) {
    case EOPNOTSUPP:
        return "EOPNOTSUPP";
    case EINVAL:
        return "EINVAL";
    case EAGAIN:
        return "EAGAIN";
    case EPERM:
        return "EPERM";
    case ENOSPC:
        return "ENOSPC";
    case EIO:
        return "EIO";
    }
    return fmt::format("errno {}", error);
}

std::string text(const answer& a) {
    if (!a.tried) return "-";
    if (a.refused) return errno_name(a.refused) + " at submission";
    if (a.res == -EAGAIN) return "EAGAIN: it would block";
    if (a.res < 0) return errno_name(static_cast<int>(-a.res)) + " in the event";
    return "works";
}

std::vector<flag_answers> try_flags(kaio::context& context, const std::string& directory, std::size_t block) {
    scratch const file(directory);
    file.fill(2 * block);
    kaio::aligned_buffer buffer(block);

    auto const try_one = [&](const char* name, kaio::rw_flags flag, bool reads, bool writes) {
        auto const read = [&](const kaio::file& f) {
            return f && reads ? ask(context, kaio::read(f.fd(), buffer, 0).flags(flag)) : untried;
        };
        auto const write = [&](const kaio::file& f) {
            return f && writes ? ask(context, kaio::write(f.fd(), buffer, 0).flags(flag)) : untried;
        };
        // RWF_NOWAIT must not meet what would block for reasons of its own: dirty pages, a change time that is to be
        // updated, or data outside the page cache.
        ::fdatasync(file.buffered.fd());
        answer const direct_read = read(file.direct);
        if (file.direct) ask(context, kaio::write(file.direct.fd(), buffer, 0));
        answer const direct_write = write(file.direct);
        ask(context, kaio::read(file.buffered.fd(), buffer, 0));
        answer const buffered_read = read(file.buffered), buffered_write = write(file.buffered);
        return flag_answers{name, direct_read, direct_write, buffered_read, buffered_write};
    };
    using kaio::rw_flags;
    return {
        try_one("RWF_DSYNC", rw_flags::dsync, false, true),        try_one("RWF_SYNC", rw_flags::sync, false, true),
        try_one("RWF_NOWAIT", rw_flags::nowait, true, true),       try_one("RWF_APPEND", rw_flags::append, false, true),
        try_one("RWF_NOAPPEND", rw_flags::noappend, false, true),  try_one("RWF_ATOMIC", rw_flags::atomic, false, true),
        try_one("RWF_DONTCACHE", rw_flags::dontcache, true, true),
    };
}

} // namespace probe
