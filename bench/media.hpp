// The file or block device that is read and written: the user names it, or it is made here. What is made here has no
// name any more when open_medium returns, so the kernel removes it when this process ends, however it ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <kaio/io/file.hpp>

namespace bench {

// What each run of an engine finds in the file.
enum class state : unsigned char {
    filled, // data everywhere
    hole,   // none: each write allocates
    empty,  // a file of no size: each write extends it
    cold,   // data, of which the page cache has nothing
};

struct medium_options {
    std::string kind;      // one of media_kinds(), or "filename"
    std::string filename;  // for "filename"
    std::string overwrite; // the name again, which permits writing to a file that exists
    std::string directory; // for "file"
    std::uint64_t size;    // bytes of a medium that is made here
    std::uint64_t block;   // bytes of one request
    bool direct;
    bool writes;
    bench::state state;
    unsigned openings; // of the file, one for each job
};

struct medium {
    kaio::file keeper; // the loop device or volume, which lasts as long as this is open
    kaio::file file;
    std::vector<kaio::file> others; // further openings; not every file system opens a file that has no name any more
    std::uint64_t size;             // bytes
    std::string description;        // for the heading of the table
    std::string notice;             // what differs from what the user asked for, or ""
};

// A kind of medium that can be made here.
struct medium_kind {
    std::string name, what;
};
const std::vector<medium_kind>& media_kinds();

// Throws std::runtime_error or std::system_error with a text for the user.
medium open_medium(const medium_options& options);

// Brings the file of `size` bytes into the state. Throws std::system_error.
void restore(int fd, state wanted, std::uint64_t size);

} // namespace bench
