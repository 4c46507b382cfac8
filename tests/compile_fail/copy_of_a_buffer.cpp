// expect: deleted
#include <kaio/io/aligned_buffer.hpp>

#include <utility>

#ifdef WRONG
kaio::aligned_buffer example(kaio::aligned_buffer& buffer) { return buffer; }
#else
kaio::aligned_buffer example(kaio::aligned_buffer& buffer) { return std::move(buffer); }
#endif
