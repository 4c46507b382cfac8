// expect: alignment() of a file must return a kaio::file_alignment
#include <kaio/io/request.hpp>

struct own {
    int fd() const noexcept;
    bool direct() const noexcept;
#ifdef WRONG
    std::size_t alignment() const noexcept;
#else
    kaio::file_alignment alignment() const noexcept;
#endif
};

kaio::request example(const own& file, char (&buffer)[16]) { return kaio::read(file, buffer, 0); }
