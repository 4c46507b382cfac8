// Error categories whose messages name cause and remedy. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <new>
#include <string>
#include <system_error>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

// An errno in other words: Words::text(errno). It compares with std::errc as it does in the system category.
template <class Words> class errno_category final : public std::error_category {
public:
    const char* name() const noexcept override { return Words::name; }
    std::string message(int error) const override { return Words::text(error); }
    std::error_condition default_error_condition(int error) const noexcept override {
        return std::system_category().default_error_condition(error);
    }
};

// It is never destroyed: errors may be put into words after main.
template <class Words> const std::error_category& words_of() noexcept {
    using category = errno_category<Words>;
    alignas(category) static unsigned char storage[sizeof(category)];
    static const category& one = *::new (storage) category;
    return one;
}

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
