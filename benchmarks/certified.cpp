// Problems of known solutions (tests/certified) by `presets::least_squares()` and `minimise`, as
// they are: NIST's nonlinear regressions, Wampler's polynomials, the problems of Moré, Garbow and
// Hillstrom, and networks whose data another network made. One thread. `--help` lists the options.
//
// benchmarks/support/scipy_certified.py runs SciPy's methods on the same problems;
// docs/certified.md has the tables side by side.

#include "certified/regression.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "support/command_line.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/results.h"

namespace {

using certified::Fit;
using certified::Regression;
using examples::Json;

constexpr int64_t kMostSteps = 3000;
constexpr double kSolved = 4, kZero = 1e-20;

struct Settings {
  std::string only;
  std::optional<std::string> output;
  int64_t teachers = 6, teacher_steps = 1000;
};

struct Results {
  benchmarks::Page page;
  Json json = Json::object();
};

Json to_json(const Regression& regression, size_t start, const Fit& fit) {
  const auto& end = fit.minimum;
  return {{"problem", regression.name},
          {"start", start + 1},
          {"converged", end.converged},
          {"reason", natgrad::to_string(end.reason)},
          {"steps", end.steps},
          {"sum", fit.sum_of_squares},
          {"estimated_digits", end.digits},
          {"seconds", fit.seconds}};
}

double digits_of_errors(const Regression& regression, const Fit& fit) {
  const auto& errors = fit.minimum.standard_errors;
  if (!errors.defined() || !regression.standard_errors.defined()) return 0;
  return certified::correct_digits(errors, regression.standard_errors);
}

/// Of problems whose parameters are known.
void by_digits(const std::string& title, const std::vector<Regression>& regressions,
               const std::string& key, Results& results) {
  auto& page = results.page;
  page.heading(title);
  page.head({"problem", "start", "digits", "digits of standard errors", "estimated", "converged",
             "reason", "steps", "ms"});
  double sum = 0, seconds = 0;
  int64_t runs = 0, solved = 0, wrong = 0;
  for (const auto& regression : regressions) {
    for (size_t start = 0; start < regression.starts.size(); ++start) {
      const auto fit = certified::fit(regression, regression.starts[start], kMostSteps);
      const auto& end = fit.minimum;
      const double digits = certified::correct_digits(fit.parameters, regression.parameters);
      const double of_errors = digits_of_errors(regression, fit);
      page.row({regression.name, std::to_string(start + 1), fmt::format("{:.1f}", digits),
                fmt::format("{:.1f}", of_errors), fmt::format("{:.1f}", end.digits),
                end.converged ? "yes" : "no", natgrad::to_string(end.reason),
                std::to_string(end.steps), fmt::format("{:.1f}", 1e3 * fit.seconds)});
      auto json = to_json(regression, start, fit);
      json["digits"] = digits;
      json["digits_of_errors"] = of_errors;
      results.json[key].push_back(json);
      sum += digits;
      seconds += fit.seconds;
      ++runs;
      solved += digits >= kSolved;
      wrong += end.converged && digits < kSolved;
    }
  }
  page.line(
      fmt::format("\n{} of {} at four digits, average {:.2f}, falsely converged {}, {:.1f} s.",
                  solved, runs, sum / static_cast<double>(runs), wrong, seconds));
}

/// Of problems whose sum of squares is known.
void by_sums(const std::vector<Regression>& regressions, Results& results) {
  auto& page = results.page;
  page.heading("Moré, Garbow and Hillstrom");
  page.head({"problem", "start", "sum of squares", "known", "converged", "reason", "steps", "ms"});
  int64_t runs = 0, solved = 0;
  for (const auto& regression : regressions) {
    for (size_t start = 0; start < regression.starts.size(); ++start) {
      const auto fit = certified::fit(regression, regression.starts[start], kMostSteps);
      const auto& end = fit.minimum;
      const bool is_known = certified::has_known_sum(regression, fit.sum_of_squares);
      page.row({regression.name, start == 0 ? "standard" : "10 times",
                fmt::format("{:.9e}", fit.sum_of_squares),
                fmt::format("{:.9g}", regression.sum_of_squares) + (is_known ? "" : " (missed)"),
                end.converged ? "yes" : "no", natgrad::to_string(end.reason),
                std::to_string(end.steps), fmt::format("{:.1f}", 1e3 * fit.seconds)});
      results.json["more_garbow_hillstrom"].push_back(to_json(regression, start, fit));
      ++runs;
      solved += is_known;
    }
  }
  page.line(fmt::format("\n{} of {} at a known minimum.", solved, runs));
}

void teachers(const Settings& settings, Results& results) {
  auto& page = results.page;
  page.heading("Networks");
  page.head({"teacher", "to 1e-20", "sums of squares (steps)", "s"});
  int64_t zeros = 0, runs = 0;
  for (int64_t seed = 1; seed <= settings.teachers; ++seed) {
    const auto teacher = certified::teacher_network(seed);
    std::vector<std::string> ends;
    int64_t count = 0;
    double seconds = 0;
    for (size_t start = 0; start < teacher.starts.size(); ++start) {
      const auto fit = certified::fit(teacher, teacher.starts[start], settings.teacher_steps);
      ends.push_back(fmt::format("{:.0e} ({})", fit.sum_of_squares, fit.minimum.steps));
      results.json["teachers"].push_back(to_json(teacher, start, fit));
      count += fit.sum_of_squares <= kZero;
      seconds += fit.seconds;
    }
    page.row({std::to_string(seed), fmt::format("{} of {}", count, ends.size()),
              c10::Join(", ", ends), fmt::format("{:.1f}", seconds)});
    zeros += count;
    runs += static_cast<int64_t>(ends.size());
  }
  page.line(fmt::format("\n{} of {} to 1e-20.", zeros, runs));
}

void write(const Settings& settings, const Results& results) {
  if (!settings.output) return;
  benchmarks::write_results(*settings.output + ".json", results.page,
                            {{"teachers", settings.teachers}}, results.json);
  examples::write_whole(*settings.output + ".md", results.page.text());
}

void run(const Settings& settings) {
  if (settings.output) examples::check_output(*settings.output);
  Results results;
  const auto wanted = [&](const char* name) {
    return settings.only.empty() || settings.only == name;
  };
  if (wanted("nist")) {
    by_digits("NIST's nonlinear regressions", certified::nist_regressions(), "nist", results);
  }
  if (wanted("wampler")) {
    by_digits("Wampler's polynomials", certified::wampler_polynomials(), "wampler", results);
  }
  if (wanted("mgh")) by_sums(certified::more_garbow_hillstrom(), results);
  if (wanted("teachers")) teachers(settings, results);
  write(settings, results);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kMost = 1000000;
  Settings settings;
  CLI::App app("Certified least-squares problems by presets::least_squares() and minimise().");
  app.add_option("--only", settings.only, "nist, wampler, mgh or teachers")
      ->check(CLI::IsMember({"nist", "wampler", "mgh", "teachers"}));
  app.add_option("--teachers", settings.teachers, "networks of seeds 1, 2, ...")
      ->check(CLI::Range(1, kMost))
      ->capture_default_str();
  app.add_option("--teacher-steps", settings.teacher_steps, "steps of each start")
      ->check(CLI::Range(1, kMost))
      ->capture_default_str();
  app.add_option("--output", settings.output, "Where to write: <output>.json and <output>.md")
      ->check([](const std::string& path) { return path.empty() ? "an empty path" : ""; });
  examples::parse_or_exit(app, argc, argv);
  at::set_num_threads(1);
  return examples::exit_code("certified", [&] { run(settings); });
}
