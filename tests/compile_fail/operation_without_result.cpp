// expect: a handler must be callable with a kaio::io_result
// expect: io_result>::but_this_is<
#include <kaio/kaio.hpp>

void example() {
#ifdef WRONG
    kaio::owned_operation operation([](int) {});
#else
    kaio::owned_operation operation([](kaio::io_result) {});
#endif
}
