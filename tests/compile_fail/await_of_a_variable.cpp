// expect: deleted
// expect: std::move(t)
#include <kaio/kaio.hpp>

kaio::task<int> part();

kaio::task<int> example() {
    kaio::task<int> task = part();
#ifdef WRONG
    co_return co_await task;
#else
    co_return co_await std::move(task);
#endif
}
