// Writes bytes that nobody has written to: MemorySanitizer must say so.
#include <cstdlib>
#include <span>

#include <kaio/kaio.hpp>

int main() {
    char* const buffer = static_cast<char*>(std::malloc(64));
    kaio::file const null = kaio::file::open("/dev/null", O_WRONLY);
    kaio::loop loop(4);
    loop.submit(kaio::write(null, std::span(buffer, 64), 0), [](kaio::io_result) {});
    loop.run();
    std::free(buffer);
}
