// Why a file could not be opened, in words. Any thread. Only the texts allocate.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <string>
#include <system_error>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

inline constexpr const char* open_einval =
    "it is a directory, the file system refuses O_DIRECT, or another flag is bad; open it without O_DIRECT, or keep it "
    "on a file system that has direct I/O (ext4, xfs, btrfs, tmpfs since 6.6)";

struct file_words {
    static constexpr const char* name = "kaio::file";
    static std::string text(int error) {
        std::string const plain = std::system_category().message(error);
        return error == EINVAL ? plain + ": " + open_einval : plain;
    }
};

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
