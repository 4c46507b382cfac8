// Which per-request flags (RWF_*) the kernel and the file system accept, and where they report a refusal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>

namespace probe {

struct answer {
    int refused = 0;      // the errno of io_submit, or 0
    std::int64_t res = 0; // the event's, if io_submit took it
    bool tried = true;    // false: the flag means nothing for this kind of request, or there is no O_DIRECT
};
std::string text(const answer& a);

struct flag_answers {
    const char* name;
    answer direct_read, direct_write, buffered_read, buffered_write;
};

// Tries them on a temporary file in `directory`, with requests of `block` bytes.
std::vector<flag_answers> try_flags(kaio::context& context, const std::string& directory, std::size_t block);

// Returns the name of an errno, such as EOPNOTSUPP.
std::string errno_name(int error);

} // namespace probe
