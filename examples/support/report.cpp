#include "support/report.h"

#include <c10/util/Exception.h>
#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>

namespace examples {
namespace {

std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

std::string json_array(const TrainingCurve& curve, double EpochRecord::*member) {
  std::vector<std::string> numbers;
  for (const auto& record : curve.epochs) numbers.push_back(json_number(record.*member));
  return fmt::format("[{}]", fmt::join(numbers, ", "));
}

std::string json_curve(const TrainingCurve& curve) {
  return fmt::format(
      "    {{\"method\": \"{}\",\n     \"training_loss\": {},\n     \"accuracy\": {},\n"
      "     \"seconds\": {},\n     \"lambda\": {}}}",
      curve.method, json_array(curve, &EpochRecord::training_loss),
      json_array(curve, &EpochRecord::accuracy), json_array(curve, &EpochRecord::seconds),
      json_array(curve, &EpochRecord::lambda));
}

void write_json(const std::string& path, const std::string& title,
                const std::vector<TrainingCurve>& curves) {
  std::vector<std::string> texts;
  for (const auto& curve : curves) texts.push_back(json_curve(curve));
  std::ofstream file(path);
  file << fmt::format("{{\n  \"title\": \"{}\",\n  \"curves\": [\n{}\n  ]\n}}\n", title,
                      fmt::join(texts, ",\n"));
  file.flush();
  TORCH_CHECK(file, path, ": cannot be written; --output names another place.");
}

std::string quoted(std::string text) {
  c10::ReplaceAll(text, "'", "'\\''");
  return "'" + text + "'";
}

/// Runs a shell command; returns the last line it printed if it failed, else nothing.
std::string failure_of(const std::string& command) {
  std::string last = "it cannot be started";
  std::FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return last;
  std::array<char, 1024> line{};
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) last = line.data();
  if (last.ends_with('\n')) last.pop_back();
  return pclose(pipe) == 0 ? "" : last;
}

}  // namespace

void check_writable(const std::string& path) {
  // Appending keeps what an earlier run left, should this one be interrupted.
  TORCH_CHECK(std::ofstream(path, std::ios::app), path,
              ": cannot be written; --output names another place.");
}

void print_table(const std::vector<TrainingCurve>& curves) {
  fmt::print("\n{:<17}{:>20}{:>22}{:>19}{:>10}\n", "method", "final training loss",
             "worst training loss", "held-out accuracy", "seconds");
  for (const auto& curve : curves) {
    const auto& end = curve.epochs.back();
    fmt::print("{:<17}{:>20.3g}{:>22.3g}{:>18.1f}%{:>10.2f}\n", curve.method, end.training_loss,
               curve.worst_loss(), 100 * end.accuracy, end.seconds);
  }
}

void write_report(const std::string& output, const std::string& title,
                  const std::vector<TrainingCurve>& curves) {
  const std::string json = output + ".json", png = output + ".png";
  write_json(json, title, curves);
  const auto command = fmt::format("{} {} {} {}", quoted(NATGRAD_PYTHON),
                                   quoted(NATGRAD_PLOT_SCRIPT), quoted(json), quoted(png));
  const auto failure = failure_of(command);
  if (failure.empty()) {
    fmt::print("\nThe curves are in {}, their numbers in {}.\n", png, json);
  } else {
    fmt::print(
        "\nThe numbers are in {}; no picture was drawn ({}). Once python has matplotlib, this "
        "draws "
        "it: {}\n",
        json, failure, command);
  }
}

}  // namespace examples
