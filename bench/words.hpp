// Words from outside (names of files and devices) may be any bytes, and JSON is UTF-8.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace bench {

// What is no UTF-8 becomes U+FFFD, so this fails for no bytes. A negative indent: all on one line.
template <class Json> std::string dumped(const Json& what, int indent) {
    return what.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Adds `key`_hex with the bytes in hexadecimal, if the text is no UTF-8: then U+FFFD has not the last word.
template <class Json> void add_bytes(Json& to, const std::string& key, const std::string& text) {
    Json const value = text;
    try {
        (void)value.dump();
    } catch (const typename Json::type_error&) {
        std::string hex;
        for (unsigned char const c : text) {
            hex += "0123456789abcdef"[c >> 4];
            hex += "0123456789abcdef"[c & 15];
        }
        to[key + "_hex"] = hex;
    }
}

} // namespace bench
