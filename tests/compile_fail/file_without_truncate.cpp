// expect: truncatable_file
#include <kaio/coro/write_file.hpp>
#include <kaio/kaio.hpp>

struct own {
    int fd() const noexcept;
    bool direct() const noexcept;
    kaio::file_alignment alignment() const noexcept;
#ifdef WRONG
    kaio::result<void> try_truncate() const noexcept;
#else
    kaio::result<void> try_truncate(kaio::file_offset size) const noexcept;
#endif
};

kaio::task<kaio::transfer_result> example(kaio::loop& loop, const own& file, const kaio::aligned_buffer& buffer) {
    return kaio::write_file(loop, file, buffer);
}
