"""The only package that calls boto3. One module per AWS capability; errors of AWS become errors of ours here."""
