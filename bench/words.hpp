// Names of files and devices may be any bytes, and JSON is UTF-8.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace bench {

// Returns the JSON text. Bytes that are no UTF-8 become U+FFFD. A negative indent puts all on one line.
template <class Json> std::string dumped(const Json& json, int indent) {
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// If the text is no UTF-8, adds `key`_hex to the object, with all bytes in hexadecimal.
template <class Json> void add_bytes(Json& object, const std::string& key, const std::string& text) {
    Json const value = text;
    try {
        (void)value.dump();
    } catch (const typename Json::type_error&) {
        std::string hex;
        for (unsigned char const c : text) {
            hex += "0123456789abcdef"[c >> 4];
            hex += "0123456789abcdef"[c & 15];
        }
        object[key + "_hex"] = hex;
    }
}

} // namespace bench
