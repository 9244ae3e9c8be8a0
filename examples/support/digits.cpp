#include "support/digits.h"

#include <torch/torch.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <vector>

namespace examples {
namespace {

constexpr int kPixels = 64, kBrightest = 16, kClasses = 10;
constexpr int64_t kHeldOut = 360;

/// The whole number that `field` consists of, or -1.
int parse_number(const std::string& field) {
  const char* const end = field.data() + field.size();
  int number = -1;
  const auto [stop, error] = std::from_chars(field.data(), end, number);
  return error == std::errc() && stop == end ? number : -1;
}

/// Appends the fields of `line` to `values`. `where` names the line in messages.
void parse_line(const std::string& line, const std::string& where, std::vector<int64_t>& values) {
  std::istringstream fields(line);
  std::string field;
  int column = 0;
  for (; std::getline(fields, field, ','); ++column) {
    const int largest = column < kPixels ? kBrightest : kClasses - 1;
    const int number = parse_number(field);
    TORCH_CHECK(number >= 0 && number <= largest, where, ", column ", column + 1,
                ": expected a whole number from 0 to ", largest,
                column < kPixels ? " (a pixel)." : " (the class).");
    values.push_back(number);
  }
  TORCH_CHECK(column == kPixels + 1, where, ": expected ", kPixels + 1,
              " columns (64 pixels and the class), found ", column, ".");
}

/// All lines of the file as [N, 65].
torch::Tensor read_table(const std::string& path) {
  std::ifstream file(path);
  TORCH_CHECK(file, path, ": cannot be opened; --data names the file with the digits.");
  std::vector<int64_t> values;
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    parse_line(line, c10::str(path, ", line ", number), values);
  }
  TORCH_CHECK(!file.bad(), path, ": cannot be read; --data names the file with the digits.");
  return torch::tensor(values, torch::kInt64).view({-1, kPixels + 1});
}

}  // namespace

Dataset read_digits(const std::string& path, uint64_t seed) {
  const auto table = read_table(path);
  TORCH_CHECK(table.size(0) > kHeldOut, path, ": expected more than the ", kHeldOut,
              " digits that are held out, found ", table.size(0), ".");
  const auto pixels = table.slice(1, 0, kPixels).to(torch::kFloat32) / kBrightest;
  const Batch digits(pixels, table.select(1, kPixels).clone());
  const auto rows = shuffled_rows(table.size(0), at::make_generator<at::CPUGeneratorImpl>(seed));
  return {"digits", select(digits, rows.slice(0, kHeldOut)),
          select(digits, rows.slice(0, 0, kHeldOut))};
}

}  // namespace examples
