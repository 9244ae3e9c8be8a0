// All curvature matrices of the library on one small network and real data, written down and
// compared: rank, trace, spectrum, distances, and where the step that each gives points to. Then
// the empirical Fisher matrix F̄ while the network learns (J. Martens, "New perspectives on the
// natural gradient method", section 7): its rank is at most the number of examples, its step points
// elsewhere than the natural gradient, and as the fit improves F̄ vanishes with the examples'
// gradients, so that its step becomes a thousand times too long. `--help` lists the options.

#include <fmt/format.h>
#include <natgrad/curvatures.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>

#include "support/command_line.h"
#include "support/comparisons.h"
#include "support/curvature_matrices.h"
#include "support/digits.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/picture.h"

using examples::Json, examples::NamedMatrix, examples::SmallClassifier;
using torch::Tensor;

namespace {

struct Options {
  uint64_t seed = 0;
  int64_t examples = 150;
  std::string data = NATGRAD_DATA_DIR "/digits.csv";
  std::string output = "curvatures";
};

Options parse_command_line(int argc, char** argv) {
  CLI::App app("Compares the curvature matrices of a small classifier of digits.", "curvatures");
  app.option_defaults()->always_capture_default();
  Options options;
  examples::add_seed(app, options.seed, "Of the weights and the choice of digits");
  app.add_option("--examples", options.examples, "How many digits")
      ->check(CLI::Range(2, 1000))
      ->type_name("N");
  app.add_option("--data", options.data, "Digits as CSV")->type_name("FILE");
  examples::add_output(app, options.output);
  examples::parse_or_exit(app, argc, argv);
  return options;
}

double cosine(const Tensor& a, const Tensor& b) {
  return torch::cosine_similarity(a, b, 0).item<double>();
}

/// The table of the matrices at one θ.
Json describe_matrices(const std::vector<NamedMatrix>& matrices, const Tensor& gradient) {
  const auto& fisher = matrices.front().matrix;
  const auto natural = examples::damped_step(fisher, gradient);
  fmt::print(
      "\nThe step of a matrix C is -(C + λI)⁻¹∇h, λ a thousandth of its mean eigenvalue; its "
      "cosine is "
      "that with the Fisher matrix's, the natural gradient.\n");
  fmt::print("{:30} {:>5} {:>9} {:>10} {:>10} {:>12} {:>14}\n", "matrix", "rank", "negative",
             "trace", "largest", "‖C-F‖/‖F‖", "cosine of step");
  Json rows = Json::array();
  for (const auto& [name, matrix] : matrices) {
    const auto spectrum = examples::spectrum_of(matrix);
    const double distance = examples::relative_difference(matrix, fisher);
    const double alike = cosine(examples::damped_step(matrix, gradient), natural);
    fmt::print("{:30} {:5} {:9} {:10.3g} {:10.3g} {:12.2g} {:14.3f}\n", name, spectrum.rank,
               spectrum.negative, spectrum.trace, spectrum.eigenvalues[0].item<double>(), distance,
               alike);
    rows.push_back({{"name", name},
                    {"rank", spectrum.rank},
                    {"trace", spectrum.trace},
                    {"cosine", alike},
                    {"eigenvalues", examples::to_json(spectrum.eigenvalues)}});
  }
  return rows;
}

/// ‖A - B‖/‖B‖ of all pairs.
Tensor distances_between(const std::vector<NamedMatrix>& matrices) {
  const auto count = static_cast<int64_t>(matrices.size());
  auto distances = torch::empty({count, count}, torch::kDouble);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      distances[i][j] = examples::relative_difference(matrices[i].matrix, matrices[j].matrix);
    }
  }
  return distances;
}

void print_distances(const std::vector<NamedMatrix>& matrices, const Tensor& distances) {
  fmt::print("\n‖A - B‖/‖B‖, Frobenius (A the row, B the column, in the order above)\n");
  for (size_t i = 0; i < matrices.size(); ++i) {
    fmt::print("{:30}", matrices[i].name);
    for (int64_t j = 0; j < distances.size(1); ++j) {
      fmt::print(" {:8.1e}", distances[i][j].item<double>());
    }
    fmt::print("\n");
  }
}

/// The empirical Fisher matrix against the Fisher matrix after some natural-gradient steps.
Json follow_empirical_fisher(const SmallClassifier& classifier) {
  natgrad::NaturalGradient optimizer(classifier.parameters(),
                                     natgrad::NaturalGradientOptions().lr(0.3));
  fmt::print("\nWhile it learns:\n{:>6} {:>10} {:>10} {:>12} {:>12} {:>8} {:>8}\n", "steps", "loss",
             "|gradient|", "rank of F̄", "‖F̄-F‖/‖F‖", "cosine", "length");
  Json rows = Json::array();
  int steps = 0;
  for (const int stop : {0, 2, 5, 10, 20, 40, 80}) {
    for (; steps < stop; ++steps) optimizer.step(classifier.loss());
    const auto loss = classifier.loss();
    const natgrad::LossGraph graph(loss, classifier.parameters());
    const auto fisher = dense(natgrad::fisher(graph));
    const auto empirical = dense(natgrad::empirical_fisher(graph));
    const auto rank = examples::spectrum_of(empirical).rank;
    const auto natural = examples::damped_step(fisher, graph.gradient());
    const auto other = examples::damped_step(empirical, graph.gradient());
    const double alike = cosine(other, natural);
    const double longer = (other.norm() / natural.norm()).item<double>();
    const double distance = examples::relative_difference(empirical, fisher);
    fmt::print("{:6} {:10.4f} {:10.2e} {:11} {:11.2g} {:8.3f} {:8.3g}\n", steps,
               loss.item<double>(), graph.gradient().norm().item<double>(), rank, distance, alike,
               longer);
    rows.push_back({{"steps", steps},
                    {"loss", loss.item<double>()},
                    {"rank", rank},
                    {"cosine", alike},
                    {"length", longer},
                    {"distance", distance}});
    TORCH_CHECK(rank <= classifier.examples(), "the empirical Fisher matrix has rank ", rank,
                " with ", classifier.examples(), " examples.");
  }
  return rows;
}

void run(const Options& options) {
  const auto digits = examples::read_digits(options.data, options.seed);
  examples::check_output(options.output);
  const SmallClassifier classifier(digits.train, options.examples, options.seed);
  const auto graph = classifier.graph();
  const auto title = fmt::format("a classifier 16-8-10, P = {} weights, {} handwritten digits",
                                 graph.parameters().size(), classifier.examples());
  fmt::print("{}\n", title);

  const auto matrices = examples::curvature_matrices(graph);
  Json report = {{"title", title}, {"examples", classifier.examples()}};
  report["matrices"] = describe_matrices(matrices, graph.gradient());
  const auto distances = distances_between(matrices);
  print_distances(matrices, distances);
  report["distances"] = examples::to_json(distances);
  report["training"] = follow_empirical_fisher(classifier);
  examples::write_json(options.output + ".json", report);
  examples::draw_picture("plot_curvatures.py", options.output);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_command_line(argc, argv);
  return examples::exit_code("curvatures", [&] { run(options); });
}
