// The theory, shown: every claim of the texts that natgrad implements, on small real problems
// (handwritten digits, beetles, pixel counts), with the number that was measured, what it is held
// to, and the verdict that follows. Section by section as J. Martens, "New perspectives on the
// natural gradient method", has them, then the blog post on units and the note. Writes one page,
// <output>.html, which opens offline, and the same numbers as <output>.json. `--help` lists the
// options.
//
// A section is a file in theory/, and a line in theory/sections.def.

#include <fmt/format.h>
#include <natgrad/version.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>

#include "support/command_line.h"
#include "support/digits.h"
#include "support/findings.h"
#include "support/json.h"
#include "support/output_files.h"
#include "support/picture.h"
#include "theory/sections.h"

using examples::Json, examples::theory::Findings, examples::theory::Section;

namespace {

const char* const kTitle = "The natural gradient, claim by claim";
const char* const kIntroduction =
    "What J. Martens, “New perspectives on the natural gradient method” (P, the early version), "
    "the blog post on "
    "natural gradients and units (B) and the short note on natural gradients (N) say, each on a "
    "small real problem: the number that was measured, what it has to be, and the verdict that "
    "follows from the two. No number or verdict is written by hand. A claim marked “as printed” is "
    "a slip of the text, shown "
    "beside what is meant; it should not hold. θ: the parameters, P of them; h: the objective; z = "
    "f(x, θ): a network's "
    "outputs; J<sub>f</sub> = ∂z/∂θ; G: the generalized Gauss-Newton matrix; F: the Fisher matrix; "
    "H: "
    "the Hessian; F<sub>R</sub> and H<sub>L</sub>: the last three of the outputs' distribution and "
    "of the loss, in z.";

struct Options {
  std::vector<std::string> only;
  uint64_t seed = 0;
  std::string data = NATGRAD_DATA_DIR "/digits.csv";
  std::string output = "theory";
};

std::vector<std::string> names_of(const std::vector<Section>& sections) {
  std::vector<std::string> names;
  for (const auto& section : sections) names.push_back(section.name);
  return names;
}

Options parse_command_line(int argc, char** argv, const std::vector<Section>& sections) {
  CLI::App app("Measures what the theory of the natural gradient claims, and writes a page of it.",
               "theory_report");
  app.option_defaults()->always_capture_default();
  Options options;
  app.add_option("--only", options.only, "Only these sections, with commas between them")
      ->delimiter(',')
      ->check(CLI::IsMember(names_of(sections)))
      ->type_name("NAME,...");
  examples::add_seed(app, options.seed, "Of the choice of digits");
  app.add_option("--data", options.data, "Digits as CSV")->type_name("FILE");
  examples::add_output(app, options.output, ".html");
  examples::parse_or_exit(app, argc, argv);
  return options;
}

std::vector<Section> chosen(const std::vector<Section>& sections,
                            const std::vector<std::string>& only) {
  std::vector<Section> result;
  std::ranges::copy_if(sections, std::back_inserter(result), [&](const Section& section) {
    return only.empty() || std::ranges::find(only, section.name) != only.end();
  });
  return result;
}

/// Runs a section, says a line of what was found, and what was not as it should be.
Json found(const Section& section, const examples::theory::Material& material,
           int64_t& unexpected) {
  torch::manual_seed(material.seed);
  const auto start = std::chrono::steady_clock::now();
  Findings findings;
  section.run(findings, material);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("{:17} {:9.1f} {:9} {:9} {:11}\n", section.name, seconds.count(),
             findings.claims().size(), findings.held(), findings.unexpected());
  for (const auto& claim : findings.claims()) {
    if (!claim.as_expected()) fmt::print("    not as expected: {}\n", claim.id());
  }
  std::fflush(stdout);
  unexpected += findings.unexpected();
  return {{"name", section.name},
          {"title", section.title},
          {"source", section.source},
          {"seconds", seconds.count()},
          {"parts", findings.to_json()}};
}

/// Throws unless everything came out as theory says.
void run(const Options& options, const std::vector<Section>& sections) {
  const examples::theory::Material material{examples::read_digits(options.data, options.seed),
                                            options.seed};
  examples::check_output(options.output, ".html");
  torch::set_num_threads(1);
  const auto version =
      fmt::format("{}.{}.{}", NATGRAD_VERSION_MAJOR, NATGRAD_VERSION_MINOR, NATGRAD_VERSION_PATCH);
  Json report = {{"title", kTitle},
                 {"introduction", kIntroduction},
                 {"version", version},
                 {"seed", options.seed},
                 {"sections", Json::array()}};
  int64_t unexpected = 0;
  fmt::print("{:17} {:>9} {:>9} {:>9} {:>11}\n", "section", "seconds", "claims", "hold",
             "unexpected");
  for (const auto& section : chosen(sections, options.only)) {
    report["sections"].push_back(found(section, material, unexpected));
  }
  examples::write_json(options.output + ".json", report);
  examples::draw_picture("plot_theory.py", options.output, ".html");
  TORCH_CHECK(unexpected == 0, unexpected,
              " claims did not come out as theory says; the table names them.");
}

}  // namespace

int main(int argc, char** argv) {
  const auto sections = examples::theory::all_sections();
  const auto options = parse_command_line(argc, argv, sections);
  return examples::exit_code("theory_report", [&] { run(options, sections); });
}
