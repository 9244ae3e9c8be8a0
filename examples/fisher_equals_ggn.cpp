// The Fisher information matrix and the generalized Gauss-Newton matrix are one, where the
// network's outputs are the natural parameters of an exponential family (J. Martens, "New
// perspectives on the natural gradient method", section 8), and part where they are not. Four
// parts, each with its verdicts:
//
//   families    four routes to the matrix for every output distribution of the library, and what is
//               often taken for it and is not (fisher_ggn/four_routes.h)
//   split       where the network ends and the loss begins, moved through the softmax
//   trajectory  Hessian-free optimization under either matrix, step by step
//   models      networks of up to 10⁶ weights, by products alone
//
// `--help` lists the options. It ends with an error unless all came out as theory says.

#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>

#include "fisher_ggn/family.h"
#include "fisher_ggn/four_routes.h"
#include "fisher_ggn/large_models.h"
#include "fisher_ggn/networks.h"
#include "fisher_ggn/split_point.h"
#include "fisher_ggn/trajectories.h"
#include "support/command_line.h"
#include "support/comparisons.h"
#include "support/digits.h"
#include "support/output_files.h"
#include "support/picture.h"

using examples::Json;

namespace {

const std::vector<std::string> kParts{"families", "split", "trajectory", "models"};

struct Options {
  examples::Setting setting;
  std::vector<std::string> only;
  int64_t steps = 12;
  examples::LargeModels large{
      examples::network_names(), {"Categorical", "LogStdGaussian"}, {"double", "float32"}};
  std::string data = NATGRAD_DATA_DIR "/digits.csv";
  int threads = 1;
  bool no_picture = false;
  std::string output = "fisher_equals_ggn";

  bool has(const std::string& part) const { return std::ranges::count(only, part) > 0; }
};

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const auto& family : examples::families()) {
    if (!std::ranges::count(names, family.name)) names.push_back(family.name);
  }
  return names;
}

void add_options_of_models(CLI::App& app, examples::LargeModels& large) {
  app.add_option("--model", large.models, "Which networks; alone, only the part 'models' runs")
      ->check(CLI::IsMember(examples::network_names()))
      ->delimiter(',');
  app.add_option("--family", large.families,
                 "What their outputs mean: the first line of that name in the table")
      ->check(CLI::IsMember(family_names()))
      ->delimiter(',');
  app.add_option("--precision", large.precisions, "Of their numbers")
      ->check(CLI::IsMember({"double", "float32"}))
      ->delimiter(',');
  app.add_option("--weights", large.weights, "How many weights they have at most")
      ->check(CLI::Range(100, 20'000'000))
      ->type_name("N");
  app.add_option("--width", large.width, "Their width, in place of the number of weights")
      ->check(CLI::Range(1, 10'000))
      ->type_name("N");
  app.add_option("--probes", large.probes, "How many random vectors they are multiplied with")
      ->check(CLI::Range(1, 1000))
      ->type_name("N");
}

Options parse_command_line(int argc, char** argv) {
  CLI::App app("Shows that the Fisher matrix and the generalized Gauss-Newton matrix are one.",
               "fisher_equals_ggn");
  app.option_defaults()->always_capture_default();
  Options options;
  app.add_option("--only", options.only, "Which parts; all by default")
      ->check(CLI::IsMember(kParts))
      ->delimiter(',');
  examples::add_seed(app, options.setting.seed, "Of the weights and the data");
  app.add_option("--examples", options.setting.examples, "In each batch, but for the trajectory's")
      ->check(CLI::Range(1, 100))
      ->type_name("N");
  app.add_option("--steps", options.steps, "Of the trajectory")
      ->check(CLI::Range(1, 1000))
      ->type_name("N");
  add_options_of_models(app, options.large);
  app.add_option("--tamper", options.setting.tamper,
                 "What natgrad's GGN is multiplied by, to see the verdicts fail")
      ->check(CLI::Range(-1e6, 1e6))
      ->check(examples::not_nan)
      ->type_name("X");
  app.add_option("--data", options.data, "Digits as CSV")->type_name("FILE");
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->type_name("N");
  app.add_flag("--no-picture", options.no_picture, "Numbers alone");
  examples::add_output(app, options.output);
  examples::parse_or_exit(app, argc, argv);
  if (options.only.empty()) {
    options.only = app.count("--model") > 0 ? std::vector<std::string>{"models"} : kParts;
  }
  return options;
}

/// The digits, if a part asks for them: wrong ones are better refused before anything is computed.
examples::Dataset digits_for(const Options& options) {
  if (!options.has("trajectory")) return {};
  return examples::read_digits(options.data, options.setting.seed);
}

/// The parts that were asked for, in order.
Json run_parts(const Options& options, const examples::Dataset& digits,
               examples::Findings& findings) {
  Json json;
  const auto part = [&](const std::string& name, const std::function<Json()>& body) {
    if (!options.has(name)) return;
    const auto start = std::chrono::steady_clock::now();
    json[name] = body();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    fmt::print("({}: {:.1f} s)\n", name, taken.count());
    json["seconds"][name] = taken.count();
  };
  const auto& setting = options.setting;
  part("families", [&] { return compare_families(setting, findings); });
  part("split", [&] { return compare_split_points(setting, findings); });
  part("trajectory",
       [&] { return examples::compare_trajectories(setting, options.steps, digits, findings); });
  part("models", [&] { return compare_large_models(setting, options.large, findings); });
  return json;
}

/// Throws unless everything came out as theory says.
void run(const Options& options) {
  torch::set_num_threads(options.threads);
  examples::check_output(options.output);
  const auto digits = digits_for(options);
  examples::Findings findings;
  auto json = run_parts(options, digits, findings);
  findings.print();
  json["title"] =
      fmt::format("{} examples, seed {}", options.setting.examples, options.setting.seed);
  json["comparisons"] = findings.to_json();
  examples::write_json(options.output + ".json", json);
  if (!options.no_picture) examples::draw_picture("plot_fisher_equals_ggn.py", options.output);
  findings.check();
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_command_line(argc, argv);
  return examples::exit_code("fisher_equals_ggn", [&] { run(options); });
}
