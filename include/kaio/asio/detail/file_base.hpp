// file_base: how a file is opened and what seek is relative to, as in Asio.
//     kaio::random_access_file::read_write | kaio::random_access_file::direct
#pragma once

#include <fcntl.h>
#include <stdio.h>

#include <kaio/asio/detail/library.hpp>

namespace kaio::inline KAIO_BUILD::inline KAIO_ASIO {

#if defined(KAIO_ASIO_HAS_FILE)

// Asio's own, so that its flags will do, with one more.
class file_base : public detail::net::file_base {
public:
    static constexpr flags direct = static_cast<flags>(O_DIRECT);

protected:
    ~file_base() = default;
};

#else

// Asio has none on Linux without io_uring.
class file_base {
public:
    enum flags {
        read_only = O_RDONLY,
        write_only = O_WRONLY,
        read_write = O_RDWR,
        append = O_APPEND,
        create = O_CREAT,
        exclusive = O_EXCL, // with create: the file must not be there
        truncate = O_TRUNC,
        sync_all_on_write = O_SYNC,
        direct = O_DIRECT, // without the page cache; Asio's has no such flag
    };
    friend constexpr flags operator&(flags a, flags b) noexcept { return flags(int(a) & int(b)); }
    friend constexpr flags operator|(flags a, flags b) noexcept { return flags(int(a) | int(b)); }
    friend constexpr flags operator^(flags a, flags b) noexcept { return flags(int(a) ^ int(b)); }
    friend constexpr flags operator~(flags a) noexcept { return flags(~int(a)); }
    friend constexpr flags& operator&=(flags& a, flags b) noexcept { return a = a & b; }
    friend constexpr flags& operator|=(flags& a, flags b) noexcept { return a = a | b; }
    friend constexpr flags& operator^=(flags& a, flags b) noexcept { return a = a ^ b; }

    enum seek_basis { seek_set = SEEK_SET, seek_cur = SEEK_CUR, seek_end = SEEK_END };

protected:
    ~file_base() = default;
};

#endif

} // namespace kaio::inline KAIO_ASIO
