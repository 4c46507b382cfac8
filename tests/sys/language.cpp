// The errors of other languages and systems are in tests/headers/refusals.py, and what linking makes of the namespace's
// name is in tests/linking.
#include <kaio/sys/language.hpp>

#include <string>
#include <typeinfo>

#include <kaio/sys/kernel.hpp>

#include "support/catch.hpp"

#ifdef KAIO_HAS_FEATURE
#error "a macro that only this header needs is left"
#endif

#define TEXT_OF(name) #name
#define TEXT(macro) TEXT_OF(macro)

namespace {

std::string const name = TEXT(KAIO_BUILD);

bool ends_with_sanitizer() {
#if defined(__SANITIZE_ADDRESS__)
    return name.ends_with("_asan");
#elif defined(__SANITIZE_THREAD__)
    return name.ends_with("_tsan");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return name.ends_with("_asan");
#elif __has_feature(thread_sanitizer)
    return name.ends_with("_tsan");
#elif __has_feature(memory_sanitizer)
    return name.ends_with("_msan");
#endif
#endif
    return name.find("san") == std::string::npos;
}

} // namespace

TEST_CASE("the inline namespace says the version and the sanitizer, and nothing of exceptions where there are some") {
    std::string const version = "v" TEXT(KAIO_VERSION_MAJOR) "_" TEXT(KAIO_VERSION_MINOR) "_" TEXT(KAIO_VERSION_PATCH);
    CHECK(name.starts_with(version));
    CHECK(ends_with_sanitizer());
    CHECK(name.find("exceptions") == std::string::npos);
    CHECK(name.find("cxx17") == std::string::npos);
}

TEST_CASE("what is in kaio is in that namespace, for the linker too") {
    STATIC_REQUIRE(std::is_same_v<kaio::linux_kernel, kaio::KAIO_BUILD::linux_kernel>);
    CHECK(std::string(typeid(kaio::linux_kernel).name()).find(name) != std::string::npos);
}
