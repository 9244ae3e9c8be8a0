// Runs the code blocks of README, guide and headers, and compares what they print with what their
// pages say. A part of a place, as in `natgrad_snippets recipes`, runs those alone; `--print`
// before it shows what they print.

#include "snippets/runner.h"

#include <torch/torch.h>

#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

/// std::cout as a string, for as long as this lives.
class Captured {
 public:
  Captured() : before_(std::cout.rdbuf(text_.rdbuf())) {}
  ~Captured() { std::cout.rdbuf(before_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    lines.push_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

/// Whether `line` is `pattern`, in which "..." stands for anything.
bool matches(const std::string& line, const std::string& pattern) {
  const std::string dots = "...";
  const auto first = pattern.find(dots);
  if (first == std::string::npos) return line == pattern;
  const auto last = pattern.rfind(dots) + dots.size();
  const auto head = pattern.substr(0, first), tail = pattern.substr(last);
  if (line.size() < head.size() + tail.size() || !line.starts_with(head) || !line.ends_with(tail)) {
    return false;
  }
  size_t at = head.size();
  for (size_t from = first + dots.size(); from < last;) {
    const auto next = pattern.find(dots, from);
    const auto middle = pattern.substr(from, next - from);
    at = line.find(middle, at);
    if (at == std::string::npos || at + middle.size() > line.size() - tail.size()) return false;
    at += middle.size();
    from = next + dots.size();
  }
  return true;
}

/// What a block prints.
std::string output_of(const snippets::Snippet& snippet) {
  torch::manual_seed(0);
  const Captured captured;
  snippet.run();
  return captured.text();
}

/// What is wrong with a block, or nothing.
std::string fault_of(const snippets::Snippet& snippet, bool print) {
  std::string printed;
  try {
    printed = output_of(snippet);
  } catch (const std::exception& error) {
    return std::string("throws: ") + error.what();
  }
  if (print) std::cout << snippet.place << "\n" << printed;
  const auto lines = lines_of(printed), expected = lines_of(snippet.expected);
  bool same = lines.size() == expected.size();
  for (size_t k = 0; same && k < lines.size(); ++k) same = matches(lines[k], expected[k]);
  if (same) return "";
  return "prints\n" + printed + "and its page says\n" + snippet.expected;
}

}  // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  const bool print = argc > 1 && std::string(argv[1]) == "--print";
  const std::string chosen = argc > 1 + print ? argv[1 + print] : "";
  auto all = snippets::part_0();
  for (const auto& snippet : snippets::part_1()) all.push_back(snippet);
  int faults = 0, run = 0, compared = 0;
  for (const auto& snippet : all) {
    if (std::string(snippet.place).find(chosen) == std::string::npos) continue;
    const auto fault = fault_of(snippet, print);
    ++run;
    compared += *snippet.expected != 0;
    if (fault.empty()) continue;
    ++faults;
    std::cerr << snippet.place << " " << fault << "\n";
  }
  std::cout << run << " snippets run, " << compared << " compared with what they print, " << faults
            << " wrong\n";
  return faults == 0 && run > 0 ? 0 : 1;
}
