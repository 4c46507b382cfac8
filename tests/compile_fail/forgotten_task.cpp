// expect: a task does not run until it is awaited
#include <kaio/kaio.hpp>

kaio::task<> part() { co_return; }

kaio::task<> example() {
#ifdef WRONG
    part();
#else
    co_await part();
#endif
    co_return;
}
