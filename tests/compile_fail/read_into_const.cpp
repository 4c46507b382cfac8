// expect: read() writes into its buffer, and the elements of this buffer are const
#include <kaio/io/request.hpp>

#include <cstddef>
#include <span>

kaio::request example(std::span<std::byte> buffer) {
#ifdef WRONG
    return kaio::read(0, std::span<const std::byte>(buffer), 0);
#else
    return kaio::read(0, buffer, 0);
#endif
}
