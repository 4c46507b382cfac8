// Small tasks that the tests of coroutines share.
#pragma once

#include "support/temporary_file.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include <kaio/kaio.hpp>

namespace test {

inline kaio::task<int> value(int i) { co_return i; }
inline kaio::task<> no_value() { co_return; }
inline kaio::task<int&> reference(int& i) { co_return i; }
inline kaio::task<std::unique_ptr<int>> pointer(int i) { co_return std::make_unique<int>(i); }
inline kaio::task<int> thrower(const char* text) {
    throw std::runtime_error(text);
    co_return 0;
}

// Reads 64 bytes at `offset`, and returns how many there are.
inline kaio::task<std::size_t> read_some(kaio::loop& loop, const temporary_file& file, std::int64_t offset) {
    std::vector<char> buffer(64);
    kaio::io_result const r = co_await loop.submit(kaio::read(file, buffer, offset));
    co_return r.bytes();
}
inline kaio::task<int> after_a_while(kaio::loop& loop, int i, kaio::duration delay) {
    co_await loop.sleep_for(delay);
    co_return i;
}

} // namespace test
