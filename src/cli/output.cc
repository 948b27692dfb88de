#include <cstdio>

#include "base/encoding.h"
#include "cli/commands.h"

namespace okibi::cli {

std::string functionPath(std::string_view name) {
  return std::string(kApi) + "/functions/" + percentEncode(name);
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void printLine(std::string_view text) {
  print(text);
  print("\n");
}

void note(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

void printTable(const Table& table, std::string_view nothing) {
  if (table.empty()) {
    note(nothing);
  } else {
    print(table.text());
  }
}

void printJson(const Json& value) {
  printLine(boost::json::serialize(value));
}

}  // namespace okibi::cli
