#include "support/catch.hpp"
#include "support/child.hpp"

#include <kaio/sys/process.hpp>

TEST_CASE("a mark distinguishes the process that made it from its children and their children") {
    const unsigned* const mark = kaio::make_process_mark();
    REQUIRE(mark != nullptr);
    CHECK(*mark == kaio::mark_of_process);
    CHECK(test::in_child([mark] {
              if (*mark != kaio::mark_of_child) return 1;
              const unsigned* const own = kaio::make_process_mark();
              if (*own != kaio::mark_of_process || *mark != kaio::mark_of_child) return 2;
              return test::in_child(
                  [=] { return *own != kaio::mark_of_child || *mark != kaio::mark_of_child ? 3 : 0; });
          }) == 0);
    CHECK(*mark == kaio::mark_of_process);
    kaio::free_process_mark(mark);
}
