#include "support/findings.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>

// A verdict of the theory's report follows from the number, the relation and the tolerance, and
// from nothing else.

namespace natgrad::testing::findings_test {
namespace {

using examples::theory::Findings;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(FindingsTest, AVerdictIsTheRelationOfTheNumberToItsLimit) {
  Findings found;
  EXPECT_TRUE(found.claim("a", "").measured("", 1).at_most(1, "").holds());
  EXPECT_FALSE(found.claim("b", "").measured("", 1.01).at_most(1, "").holds());
  EXPECT_TRUE(found.claim("c", "").measured("", 1).at_least(1, "").holds());
  EXPECT_FALSE(found.claim("d", "").measured("", 0.99).at_least(1, "").holds());
  EXPECT_TRUE(found.claim("e", "").measured("", 3.04).near(3, 0.05, "").holds());
  EXPECT_FALSE(found.claim("f", "").measured("", 2.9).near(3, 0.05, "").holds());
  EXPECT_EQ(found.held(), 3);
  EXPECT_EQ(found.unexpected(), 3);
}

TEST(FindingsTest, WhatIsNotANumberOrWasNotMeasuredDoesNotHold) {
  Findings found;
  EXPECT_FALSE(found.claim("a", "").measured("", kNaN).at_most(1, "").holds());
  EXPECT_FALSE(found.claim("b", "").measured("", kNaN).at_least(1, "").holds());
  EXPECT_FALSE(found.claim("c", "").measured("", kNaN).near(1, 1, "").holds());
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(found.claim("d", "").measured("", infinity).at_least(1, "").holds());
  EXPECT_FALSE(found.claim("e", "").at_most(1, "").holds());
  EXPECT_FALSE(found.claim("f", "").measured("", 1).holds());
}

TEST(FindingsTest, ASlipOfTheTextIsExpectedNotToHold) {
  Findings found;
  EXPECT_TRUE(found.claim("a", "").as_printed().measured("", 2).at_most(1, "").as_expected());
  EXPECT_FALSE(found.claim("b", "").as_printed().measured("", 0).at_most(1, "").as_expected());
  EXPECT_EQ(found.unexpected(), 1);
}

TEST(FindingsTest, TwoClaimsOfOneNameAreRefused) {
  Findings found;
  found.claim("a", "");
  EXPECT_THROW(found.claim("a", ""), c10::Error);
}

TEST(FindingsTest, JsonHasThePartsInTheirOrderWithTheirVerdicts) {
  Findings found;
  found.text("first");
  auto& claim = found.claim("a", "words");
  found.chart(examples::theory::Chart("title", "x", "y").line("l", {1, 2}, {kNaN, 3}), "caption");
  claim.measured("what", 5).at_most(1, "reason").formula("f");  // filled in after others were added
  const auto json = found.to_json();
  ASSERT_EQ(json.size(), 3);
  EXPECT_EQ(json[0]["content"], "first");
  EXPECT_EQ(json[1]["content"]["verdict"], "does not hold");
  EXPECT_EQ(json[1]["content"]["formula"], "f");
  EXPECT_TRUE(json[2]["content"]["series"][0]["y"][0].is_null());
  EXPECT_EQ(json[2]["content"]["series"][0]["y"][1], 3);
}

}  // namespace
}  // namespace natgrad::testing::findings_test
