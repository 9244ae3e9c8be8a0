#include "support/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

namespace benchmarks {

void Page::line(const std::string& text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
  text_ += text + "\n";
}

void Page::heading(const std::string& text) {
  title_ = text;
  line("\n## " + text + "\n");
}

void Page::head(const std::vector<std::string>& columns) {
  tables_.push_back({{"title", title_}, {"columns", columns}, {"rows", examples::Json::array()}});
  line(fmt::format("| {} |", fmt::join(columns, " | ")));
  line(fmt::format("|{}", fmt::join(std::vector<std::string>(columns.size(), " --- |"), "")));
}

void Page::row(const std::vector<std::string>& cells) {
  tables_.back()["rows"].push_back(cells);
  line(fmt::format("| {} |", fmt::join(cells, " | ")));
}

void Page::bar(const std::string& found, bool passes) {
  bars_.push_back({{"found", found}, {"passes", passes}});
  line(fmt::format("{}: {}", found, passes ? "pass" : "FAIL"));
}

}  // namespace benchmarks
