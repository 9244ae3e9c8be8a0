#pragma once

#include "detail.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace natgrad::detail {

/// What is right but slower or coarser than it could be, since LibTorch's graph hides
/// something. Nothing throws then, so it has to be said.
enum class Degradation {
  UnreadLayers,      ///< parameters under ops that are no layer that natgrad knows
  ClippedGradients,  ///< `.grad` was clipped, which a step does not read
  CoupledExamples,   ///< batch normalisation in training: no example has a gradient of its own
  FusedAttention,    ///< attention by one op, which cannot be differentiated twice, was given up
  UnreadLoss,        ///< a loss that natgrad cannot read, taken as one of outputs that it found
};

/// What is known of the kind, from the latest time that it was looked at.
struct Degradations {
  std::optional<double> layer_coverage;  ///< share of the parameters under known layers, in [0, 1]
  std::map<Degradation, std::string> sentences;

  std::vector<std::string> list() const;
};

/// While it lives, `report_` functions called by this thread write to `heard`. The innermost hears.
class Listening {
 public:
  explicit Listening(Degradations& heard);
  ~Listening();
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  Degradations* outer_;
};

/// Nothing happens if nobody listens.
void report_layer_coverage(double share);
/// An empty sentence takes back an earlier one.
void report_degradation(Degradation kind, std::string sentence);

}  // namespace natgrad::detail
