"""The netanomaly job: read network metrics, score them, judge the scores, store the anomalies."""
